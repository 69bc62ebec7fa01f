"""Rows over other numbers of documents: each keeps its answer, at the place that was asked for, among documents that do not tell it."""

import json

import pytest
from blockstitch_training.evaluation.__main__ import main
from blockstitch_training.evaluation.asked_prompts import read_rag


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "towns.dev.jsonl"

    def row(at):
        documents = [{"title": f"Town {at}", "text": f"The mayor of town {at} is person {at}."}]
        documents += [{"title": f"River {at} {other}", "text": f"River {other} of land {at} is long."} for other in range(3)]
        return {"id": f"t{at}", "question": f"Who is the mayor of town {at}?", "answers": [f"person {at}"], "documents": documents, "gold": [0]}

    file.write_text("".join(json.dumps(row(at)) + "\n" for at in range(6)) + json.dumps({**row(6), "answers": ["land 3"]}) + "\n")
    return file


def test_a_question_keeps_its_answer_at_the_place_and_more_documents_keep_the_fewer_ones(data, tmp_path, capsys):
    arguments = ["counts", "--data", str(data), "--counts", "1", "3", "9", "--places", "first", "middle", "last", "drawn", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert capsys.readouterr().out.count("\n") == 12
    asked = read_rag(data, 7)
    for place in ("first", "middle", "last", "drawn"):
        smaller = [set() for _ in asked]
        for count in (1, 3, 9):
            rows = read_rag(tmp_path / "out" / f"towns.dev-{count}-{place}.jsonl", 99)
            assert [each.question for each in rows] == [each.question for each in asked]
            for at, (made, own) in enumerate(zip(rows, asked, strict=True)):
                assert len(set(made.documents)) == count and made.accepted == own.accepted
                assert made.documents[made.gold] == own.documents[own.gold] and made.titles[made.gold] == own.titles[own.gold]
                assert place == "drawn" or made.gold == {"first": 0, "middle": count // 2, "last": count - 1}[place]
                others = set(made.documents) - {made.documents[made.gold]}
                assert smaller[at] <= others
                assert not any(answer in text for text in others for answer in own.accepted)
                smaller[at] = others
    first = (tmp_path / "out" / "towns.dev-9-drawn.jsonl").read_bytes()
    main(arguments)
    assert (tmp_path / "out" / "towns.dev-9-drawn.jsonl").read_bytes() == first


def test_too_few_documents_are_said(data, tmp_path, capsys):
    assert main(["counts", "--data", str(data), "--counts", "64", "--out", str(tmp_path / "out")]) == 1
    assert "documents of other rows fit question 0, and 60 are wanted" in capsys.readouterr().err
    assert main(["counts", "--data", str(data), "--counts", "0", "--out", str(tmp_path / "out")]) == 2
