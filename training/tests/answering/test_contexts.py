"""Contexts with questions: gold documents hold the answers, absent questions have none, and the same seed draws the same."""

import json
from itertools import groupby

import pytest

from blockstitch_training.answering.__main__ import main
from blockstitch_training.answering.contexts import ABSENT, COVIDQA_CHUNKS, XQUAD_OTHERS, draw_contexts
from blockstitch_training.answering.question_files import KINDS, read_works

ROWS = {
    "nq": [{"id": f"n{at}", "question": f"who made thing {at}", "answers": [f"Maker {at}"], "title": f"Thing {at}", "text": f"Maker {at} made it."} for at in range(10, 50)],
    "xquad": [
        {
            "title": f"Town_{town}", "paragraphs": [f"Street {town}-{part} is long." for part in range(5)],
            "questions": [{"question": f"What is long in {town}-{part}?", "answers": [f"Street {town}-{part}"], "gold": part} for part in range(5)],
        }
        for town in range(6)
    ],
    "covidqa": [
        {
            "id": f"p{paper}", "chunks": [f"Drug {paper}-{part} helps.\n" for part in range(3 + 9 * paper)],
            "questions": [{"question": f"Which drug ({paper}, {part})?", "answers": [f"Drug\n{paper}-{part}"], "gold": part} for part in range(0, 3 + 9 * paper, 2)],
        }
        for paper in range(3)
    ],
    "pubmedqa": [
        {"id": f"m{at}", "question": f"Does {at} work?", "contexts": [f"We saw {at}.", f"It held {at}."], "labels": ["AIM", "RESULTS"], "decision": "yes"}
        for at in range(7)
    ],
}  # fmt: skip


@pytest.fixture
def data(tmp_path):
    for kind, rows in ROWS.items():
        (tmp_path / f"{kind}.train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_gold_documents_hold_the_answer_and_others_do_not(data, kind):
    works = read_works(kind, data / f"{kind}.train.jsonl")
    contexts = list(draw_contexts(kind, works, 2, "s"))
    assert contexts == list(draw_contexts(kind, works, 2, "s")) != list(draw_contexts(kind, works, 2, "t"))
    asked = [(context, each) for context in contexts for each in context.asked]
    for context, each in asked:
        texts = [part.text for part in context.documents]
        if each.answer == ABSENT:
            assert each.gold == ()
        elif kind == "pubmedqa":
            assert [texts[at] for at in each.gold] == [f"We saw {each.question.split()[1]}.", f"It held {each.question.split()[1]}."]
        else:
            (gold,) = each.gold
            assert [each.answer in text for text in texts] == [at == gold for at in range(len(texts))]
    absent = sum(each.answer == ABSENT for _, each in asked)
    assert absent == 0 if kind == "pubmedqa" else 0 < absent < len(asked) / 2


def test_every_question_of_a_paper_is_asked_once_a_round_over_a_window_of_its_chunks(data):
    works = read_works("covidqa", data / "covidqa.train.jsonl")
    contexts = list(draw_contexts("covidqa", works, 1, "s"))
    real = sorted(each.question for context in contexts for each in context.asked if each.gold)
    assert real == sorted(question.text for work in works for question in work.questions)
    assert all(len(context.documents) <= COVIDQA_CHUNKS for context in contexts)


def test_an_article_stands_among_paragraphs_of_others(data):
    works = read_works("xquad", data / "xquad.train.jsonl")
    for context in draw_contexts("xquad", works, 1, "s"):
        own = [part for part in context.documents if part.title == context.works[0]]
        assert (len(own), len(context.documents)) == (5, 5 + XQUAD_OTHERS)


def test_a_build_keeps_works_out_whole_and_puts_questions_of_a_context_together(data, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["build", "--data", str(data), "--out", str(out), "--held-out", "0.3"]) == 0
    train, held_out = ([json.loads(line) for line in (out / name).read_text().splitlines()] for name in ("train.jsonl", "held-out.jsonl"))
    assert {work for row in train for work in row["works"]}.isdisjoint(work for row in held_out for work in row["works"])
    runs = [key for key, _ in groupby(json.dumps(row["documents"]) for row in train)]
    assert len(runs) < len(train)
    card = (out / "CARD.md").read_text()
    assert all(f"| train | {kind} |" in card for kind in KINDS) and "CC BY-SA 4.0" in card
    assert str(out) in capsys.readouterr().out


def test_a_kind_is_taken_as_often_as_its_rounds_say(data, tmp_path, capsys):
    def built(*rounds: str) -> dict[str, int]:
        out = tmp_path / "_".join(rounds)
        assert main(["build", "--data", str(data), "--out", str(out), "--held-out", "0", "--rounds", *rounds]) == 0
        assert f"--rounds {' '.join(rounds)} " in (out / "CARD.md").read_text()
        kinds = [json.loads(line)["kind"] for line in (out / "train.jsonl").read_text().splitlines() if ABSENT not in line]
        return {kind: kinds.count(kind) for kind in KINDS}

    once = built("1")
    assert built("2", "xquad=3", "pubmedqa=1") == {"nq": 2 * once["nq"], "xquad": 3 * once["xquad"], "covidqa": 2 * once["covidqa"], "pubmedqa": once["pubmedqa"]}
    assert built("covidqa=0")["covidqa"] == 0
    with pytest.raises(SystemExit):
        built("news=2")
    assert "'news=2' is not a number, nor a number for one of nq, xquad" in capsys.readouterr().err


def test_what_is_no_question_file_is_named_with_its_line(data, tmp_path, capsys):
    bad = tmp_path / "nq.train.jsonl"
    bad.write_text(json.dumps(ROWS["nq"][0]) + '\n{"question": "who"}\n')
    with pytest.raises(ValueError, match=r"nq.train.jsonl:2: this is no row of nq"):
        read_works("nq", bad)
    assert main(["build", "--data", str(tmp_path / "nowhere"), "--out", str(tmp_path / "o")]) == 1
    assert "there is no question file" in capsys.readouterr().err
