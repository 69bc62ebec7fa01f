"""Scores, intervals, question sets, and the table of the ablations."""

import re

import pytest

from blockstitch_training.demo.question_generator import SHORTENED
from blockstitch_training.demo.question_sets import generated, orders
from blockstitch_training.evaluation.ablation_plan import OFF, SETS, SIZES, planned, runs
from blockstitch_training.evaluation.ablation_table import table, write_between_marks
from blockstitch_training.evaluation.answer_scores import contains, exact, f1, interval, recovery


def test_answers_are_compared_without_case_articles_and_punctuation():
    assert exact("The Bastavo lives in Rome.", ["bastavo lives in rome"]) == 1
    assert exact("Bastavo lives in Bern.", ["Bastavo lives in Rome."]) == 0
    assert contains("It was in 1961, I think.", ["1945", "1961"]) == 1
    assert f1("red green", ["green blue"]) == pytest.approx(0.5)
    assert f1("", [""]) == 1


def test_recovery_is_the_share_of_the_gap_with_an_interval_around_it():
    teacher, plain, student = [1.0] * 100, [0.0] * 60 + [1.0] * 40, [0.0] * 6 + [1.0] * 94
    made = recovery(student, plain, teacher)
    low, high = made["interval"]
    assert made["value"] == pytest.approx(0.9)
    assert 0.78 < low < 0.9 < high <= 1.0
    assert recovery(teacher, teacher, teacher)["value"] is None


def test_a_bootstrap_interval_narrows_with_more_questions():
    def width(values):
        low, high = interval(lambda chosen: sum(values[at] for at in chosen) / len(chosen), len(values))
        return high - low

    assert width([0.0, 1.0] * 200) < 0.5 * width([0.0, 1.0] * 20)


def test_generated_sets_repeat_and_have_gold_documents_everywhere():
    asked = generated(8, 60)
    assert asked == generated(8, 60)
    assert {each.gold for each in asked} == set(range(8))
    for each in asked:
        assert len(each.documents) == 8
    for each in generated(8, 20, "direct"):
        assert each.accepted[0] in each.documents[each.gold]


def test_a_continued_answer_stands_abbreviated_where_the_text_goes_on():
    for each in generated(8, 20, "continued"):
        name = re.search(r"[A-Z][a-z]{4,}", each.accepted[0]).group()
        assert each.accepted[0].replace(name, f"{name[:SHORTENED]}.") in each.documents[each.gold]
        assert name in each.documents[each.gold - 1] and each.accepted[0] not in each.documents[each.gold]


def test_questions_over_two_documents_need_two_documents():
    for each in generated(4, 10, "two-hop"):
        assert each.via is not None and each.via != each.gold
    for sort in ("two-hop", "continued"):
        with pytest.raises(ValueError, match="two documents"):
            generated(1, 1, sort)
    with pytest.raises(ValueError, match="continued must be above 0"):
        generated(8, 1, "continued", continued=0.0)
    with pytest.raises(ValueError, match="sort must be one of"):
        generated(8, 1, "three-hop")


def test_other_orders_ask_the_same_with_the_gold_document_elsewhere():
    asked = generated(8, 20)
    for turn in orders(asked, 3):
        for before, after in zip(asked, turn, strict=True):
            assert sorted(before.documents) == sorted(after.documents)
            assert after.documents[after.gold] == before.documents[before.gold]
    assert orders(asked, 2)[0] != orders(asked, 2)[1]


def test_the_ablations_hold_every_choice_of_the_three_components():
    of_size = runs(SIZES["tiny"])
    distilled = {name: changed for name, (changed, _) in of_size.items() if name != "plain stitching" and changed.get("loss") != "ce"}
    choices = {tuple(all(changed.get(key) == value for key, value in off.items()) for off in OFF.values()) for changed in distilled.values()}
    assert len(distilled) == len(choices) == 8
    assert of_size["distillation"] == ({}, 3)


def test_runs_come_seed_by_seed_and_plain_stitching_is_always_among_them():
    order = planned(SIZES["tiny"], seeds=2, only=["distillation", "only sinks"])
    assert [(name, seed) for name, _, seed in order] == [("plain stitching", 1), ("distillation", 1), ("only sinks", 1), ("distillation", 2)]


def test_the_table_puts_seeds_together_and_replaces_the_old_one(tmp_path):
    def result(name, seed, right):
        scores = {where: {mode: {"exact": right, "kl": 0.01} for mode in ("block", "full")} for where in SETS}
        return {"run": name, "seed": seed, "seconds": 60.0, "scores": scores}

    plain = result("plain stitching", 1, [0.0, 0.0, 1.0, 1.0])
    for modes in plain["scores"].values():
        modes["full"] = {"exact": [1.0] * 4, "kl": 0.0}
    text = table([plain, result("distillation", 1, [1.0, 1.0, 1.0, 1.0]), result("distillation", 2, [0.0, 1.0, 1.0, 1.0])], "tiny", SIZES["tiny"])
    line = next(line for line in text.splitlines() if line.startswith("| distillation"))
    assert "| 2 | 87.5 (±12.5) |" in line and "| 0.75 [" in line
    file = tmp_path / "page.md"
    file.write_text("before\n<!-- ablations: begin -->\nold\n<!-- ablations: end -->\nafter\n")
    write_between_marks(file, text)
    assert file.read_text() == f"before\n<!-- ablations: begin -->\n{text}<!-- ablations: end -->\nafter\n"
