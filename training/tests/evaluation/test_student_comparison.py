"""Students and teachers over documents: the figures are what they say, a second call goes on, and wrong rows are named."""

import json
from dataclasses import replace

import pytest
import torch
from tiny_checkpoints import write_checkpoint

from blockstitch_training.distill.stitched_generation import Prompt
from blockstitch_training.evaluation.__main__ import main
from blockstitch_training.evaluation.asked_prompts import read_rag
from blockstitch_training.evaluation.student_comparison import (
    PLAIN,
    REFERENCE,
    STUDENT,
    STUDENT_FULL,
    StudentPlan,
    answers,
    fewer,
    read_answers,
    systems_of,
    told_logits,
)
from blockstitch_training.evaluation.student_table import draw_students, student_table

ROWS = [
    {
        "id": f"q{number}",
        "question": f"Where does person {number} live?",
        "answers": ["Rome"],
        "documents": [{"title": f"T{at}", "text": f"Person {at} of row {number} lives in Rome. " * 3} for at in range(4)],
        "gold": [number % 4],
    }
    for number in range(3)
]


@pytest.fixture
def plan(teacher, tmp_path) -> StudentPlan:
    data = tmp_path / "rows.dev.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return StudentPlan(teacher, teacher, None, [data], 3, 6, [2, 0], 2, 0.15, "blank-lines", tmp_path / "out")


def test_a_student_that_is_the_teacher_has_its_figures(plan):
    found = answers(plan)
    assert len(found) == 3 * 2 * 2 * 5  # questions, numbers, orders, systems
    figures = {(each.question, each.system): each for each in found}
    for (question, system), each in figures.items():
        same = {STUDENT: PLAIN, STUDENT_FULL: REFERENCE}.get(system)
        if same:
            other = figures[question, same]
            assert (each.text, each.kl, each.nll) == (other.text, other.kl, other.nll)
        if system == REFERENCE:
            assert each.kl == 0 and 1 <= each.told <= 7
        else:
            assert each.kl >= -1e-6
    blocks = [each.kl for each in found if each.system == PLAIN]
    repaired = [each.kl for each in found if each.system == "repair 0.15"]
    assert min(blocks) > 1e-4  # blocks that do not see each other are not full attention
    assert blocks != repaired


def test_the_losses_are_those_of_one_plain_forward_pass(teacher, plan):
    system, _ = systems_of(replace(plan, student=None))[REFERENCE]
    prompt, told = Prompt([[5, 9, 17], [30, 42]], [7, 8, 11]), [12, 13, 1]
    first, cache = system.begin(prompt, "full", 0)
    given = told_logits(system, first, cache, told)
    ids = [*system.sinks, 5, 9, 17, 30, 42, 7, 8, 11, *told]
    with torch.no_grad():
        wanted = system.model(input_ids=torch.tensor([ids])).logits[0, -4:-1]
    torch.testing.assert_close(given, wanted.float(), rtol=1e-4, atol=1e-4)


def test_a_second_call_asks_only_what_is_missing(plan):
    whole = answers(plan)
    file = plan.out / "answers.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:-7]) + "\n" + lines[-7][:40])  # cut within a line
    said: list[str] = []
    again = answers(plan, said.append)
    order = sorted(whole, key=lambda each: (each.question, each.system))
    assert sorted(again, key=lambda each: (each.question, each.system)) == order
    assert sorted(read_answers(file), key=lambda each: (each.question, each.system)) == order


def test_fewer_documents_keep_the_one_with_the_answer(plan):
    for asked in read_rag(plan.data[0], 3):
        gold = asked.documents[asked.gold]
        for count in (1, 2, 4):
            some = fewer(asked, count)
            assert some is not None and len(some.documents) == count and some.documents[some.gold] == gold
        assert fewer(asked, 9) is None


def test_the_table_says_how_much_was_recovered(plan):
    found = answers(plan)
    halved = [replace(each, kl=each.kl / 2) if each.system == STUDENT else each for each in found]
    text = student_table(halved)
    row = next(line for line in text.splitlines() if line.startswith(f"| {STUDENT} |"))
    assert "50% [50, 50]" in row and "+0.0 [+0.0, +0.0]" in row
    assert "Over 2 orders" in text and "| system | 2 | 4 |" in text
    draw_students(halved, plan.out / "students.svg")
    assert (plan.out / "students.svg").stat().st_size > 1000


def test_rows_of_pubmedqa_are_read_and_wrong_rows_are_named(tmp_path):
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps({"question": "Is it?", "contexts": ["a", "b"], "labels": ["AIM", "END"], "decision": "yes"}) + "\n{}\n")
    assert read_rag(file, 1)[0].titles == ("Aim", "End")
    with pytest.raises(ValueError, match=r"p\.jsonl:2"):
        read_rag(file, 2)


def test_both_systems_may_have_different_widths(tmp_path, plan):
    wider = write_checkpoint(tmp_path / "qwen", "qwen3")
    assert {each.system for each in answers(replace(plan, student=wider, rows=1))} >= {STUDENT, STUDENT_FULL}


def test_rows_become_conversations_to_score(tmp_path, capsys):
    rows, pubmedqa, out = tmp_path / "town.dev.jsonl", tmp_path / "p.jsonl", tmp_path / "rows.jsonl"
    documents = [{"title": "A", "text": "Ada lives in Rome."}, {"text": "Bo lives in Bergen."}]
    rows.write_text(json.dumps({"question": "Where?", "answers": ["in Bergen", " Bergen\n"], "documents": documents, "gold": [1]}) + "\n")
    pubmedqa.write_text(json.dumps({"question": "Is it?", "contexts": ["a", "b"], "labels": ["AIM", "END"], "decision": "yes"}) + "\n")
    assert main(["conversations", "--data", str(rows), str(pubmedqa), "--rows", "2", "--out", str(out)]) == 0
    first, second = (json.loads(line) for line in out.read_text().splitlines())
    assert first == {"documents": documents, "messages": [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Bergen"}]}
    assert second["messages"][1]["content"] == "yes" and second["documents"][1] == {"title": "End", "text": "b"}
    rows.write_text('{"question": "Where?"}\n')
    assert main(["conversations", "--data", str(rows), "--out", str(out)]) == 1
    assert "town.dev.jsonl:1" in capsys.readouterr().err
