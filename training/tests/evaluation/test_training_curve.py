"""The curve of a run: the students that it kept are scored once each, on the same questions, beside the tokens that they had seen."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from test_public_ablations import conversations

from blockstitch_training.distill.distill_settings import Settings
from blockstitch_training.distill.distiller import Distiller
from blockstitch_training.distill.example_sources import Cutting, ShuffledSource, chat_examples
from blockstitch_training.evaluation.__main__ import main
from blockstitch_training.evaluation.answer_scores import mean
from blockstitch_training.evaluation.systems import System
from blockstitch_training.evaluation.training_curve import Curve, CurvePlan, curve, curve_table, write_curve, write_reordered


@pytest.fixture(scope="module")
def trained(teacher, tmp_path_factory) -> Path:
    """Three steps, with a student kept behind the second."""
    out = tmp_path_factory.mktemp("trained")
    settings = Settings(
        str(teacher), steps=3, tokens_per_step=600, learning_rate=1e-3, precision="no", keep_every=2, log_every=1, full_share=0.5, states=1.0
    )
    system = System.load(teacher)
    examples, _ = chat_examples(conversations(out / "train.jsonl", range(6)), system.tokenizer, system.sinks, Cutting(teacher, "blank-lines"), 4000)
    distiller = Distiller(settings, ShuffledSource(examples, 1), out)
    settings.save(out / "settings.json")
    distiller.train()
    distiller.export(out / "export")
    return out


@pytest.fixture
def plan(teacher, trained, tmp_path) -> CurvePlan:
    return CurvePlan(teacher, trained, conversations(tmp_path / "held.jsonl", range(10, 13)), 4, 4000, "blank-lines", 2, tmp_path / "out")


def test_every_kept_student_is_scored_once_beside_the_tokens_it_saw(plan, trained):
    said: list[str] = []
    found = curve(plan, said.append)
    points = found.points
    assert [point["step"] for point in points] == [0, 2, 3] and len(said) == 3
    for point in points:
        assert len(point["mean_kl"]) == 4 and point["mean_kl"] != point["kl"]
    one, over_two = (mean(found.orders[each]) for each in ("kl", "mean_kl"))
    # KL is convex in its second argument.
    assert len(found.orders["kl"]) == 4 and 0 < over_two < one
    tokens = [json.loads(line)["tokens"] for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [point["tokens"] for point in points] == pytest.approx([0, tokens[0] + tokens[1], sum(tokens)], abs=1e-2)
    assert all(len(point["kl"]) == len(point["nll"]) == 4 for point in points)
    assert points[0]["full_kl"] is None and all(len(point["full_kl"]) == 4 for point in points[1:])
    before = {file: file.stat().st_mtime_ns for file in plan.out.rglob("results.json")}
    assert curve(plan, said.append) == found and len(before) == 3
    assert {file: file.stat().st_mtime_ns for file in plan.out.rglob("results.json")} == before


def test_the_table_and_the_plots_are_written(plan):
    points = [
        {"step": 0, "tokens": 0.0, "kl": [1.0, 1.0], "mean_kl": [0.5, 0.5], "nll": [2.0, 2.0], "full_kl": None},
        {"step": 20, "tokens": 80000.0, "kl": [0.25, 0.75], "mean_kl": [0.1, 0.1], "nll": [1.0, 1.0], "full_kl": [0.1, 0.1]},
        {"step": 30, "tokens": None, "kl": [0.2, 0.2], "mean_kl": [0.1, 0.1], "nll": [1.0, 1.0], "full_kl": [0.1, 0.1]},
    ]
    plan.out.mkdir()
    found = Curve(points, {"kl": [0.25, 0.25], "mean_kl": [0.2, 0.2]})
    table = write_curve(found, plan)
    assert table == curve_table(found) == (plan.out / "curve.md").read_text()
    assert "| 0.08 million | 20 | 0.500 [0.250, 0.750] | 50% [25, 75] | 0.100 [0.100, 0.100] | 80% [80, 80] | 0.100 [0.100, 0.100] | 1.000 |" in table
    assert "| - | 30 | 0.200 [0.200, 0.200] | 80% [80, 80] |" in table
    assert "| the teacher under full attention, another order | - | 0.250 [0.250, 0.250] | 75% [75, 75] |" in table
    assert "| the mean of its predictions over the other orders | - | 0.200 [0.200, 0.200] | 80% [80, 80] |" in table
    assert (plan.out / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(plan.out / "curve.svg").getroot().tag.endswith("svg")


def test_a_run_that_kept_no_student_is_named(plan, tmp_path, trained):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("metrics.jsonl", "settings.json"):
        (bare / name).write_text((trained / name).read_text())
    with pytest.raises(ValueError, match="kept no student: train with --keep-every"):
        curve(replace(plan, trained=bare))


def test_orders_below_one_are_refused(tmp_path, capsys):
    paths = [each for name in ("teacher", "trained", "held-out", "out") for each in (f"--{name}", str(tmp_path))]
    assert main(["curve", *paths, "--orders", "0"]) == 2
    assert "--orders must be at least 1" in capsys.readouterr().err


def test_another_order_is_the_same_for_questions_over_the_same_documents(tmp_path):
    rows = [
        {"messages": [], "documents": ["a", "b", "c"], "gold": [0, 2]},
        {"messages": [], "documents": ["a", "b", "c"], "gold": [1]},
        {"messages": [], "documents": [{"title": "T", "text": "a"}, "b"]},
        {"messages": [], "documents": ["a"], "gold": []},
        {"messages": []},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = [json.loads(line) for line in write_reordered(file, tmp_path / "out" / "other.jsonl", 1).read_text().splitlines()]
    assert made[0]["documents"] == made[1]["documents"] != rows[0]["documents"] and sorted(made[0]["documents"]) == ["a", "b", "c"]
    assert {made[0]["documents"][at] for at in made[0]["gold"]} == {"a", "c"} and made[1]["documents"][made[1]["gold"][0]] == "b"
    assert made[2]["documents"] == ["b", {"title": "T", "text": "a"}] and made[2]["gold"] == []
    assert made[3]["documents"] == ["a"] and made[4]["documents"] == []
    assert all((tmp_path / "out" / "other.jsonl").read_text() == write_reordered(file, tmp_path / f"{at}.jsonl", 1).read_text() for at in range(2))
