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


def kept(folder, file, modes, wrong=()):
    """Answers as `blockstitch eval --answers` keeps them: right ones, but for the rows of `wrong`."""
    lines = [{"blockstitch": "eval", "model": "m"}]
    for data in sorted(folder.glob("*.jsonl")):
        for asked in map(json.loads, data.read_text().splitlines()):
            for mode in modes:
                text = "nobody" if (asked["id"], mode) in wrong else f"It is {asked['answers'][0]}."
                lines.append({"data": data.stem, "row": asked["id"], "mode": mode, "text": text})
                lines.append({"data": data.stem, "row": asked["id"], "mode": mode, "order": 1, "text": "another order"})
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_answers_are_counted_by_number_of_documents_and_place(data, tmp_path, capsys):
    rows = tmp_path / "rows"
    main(["counts", "--data", str(data), "--counts", "1", "4", "--places", "drawn", "last", "--out", str(rows)])
    kept(rows, tmp_path / "teacher.jsonl", ["full", "block"])
    kept(rows, tmp_path / "student.jsonl", ["block"], {("towns.dev-0", "block")})
    capsys.readouterr()
    arguments = ["counted", "--data", str(rows), "--answers", f"teacher={tmp_path / 'teacher.jsonl'}", f"student={tmp_path / 'student.jsonl'}"]
    assert not main([*arguments, "--out", str(tmp_path / "out")])
    table = (tmp_path / "out" / "counted.md").read_text()
    assert table.strip() in capsys.readouterr().out
    assert "towns.dev, 7 questions, the document that answers at a drawn place" in table and "the document that answers last" in table
    assert table.count("| | 1 document | 4 documents |") == 2
    assert table.count("| teacher, full attention | 100.0 [100, 100] | 100.0 [100, 100] |") == 2
    assert table.count("| teacher, stitched | 100.0, +0.0 [+0, +0] |") == 2
    assert table.count("| student, stitched | 85.7, -14.3 [-43, +0] |") == 2
    assert (tmp_path / "out" / "counted.png").read_bytes().startswith(b"\x89PNG") and (tmp_path / "out" / "counted.svg").exists()


def test_answers_that_are_not_there_yet_are_said(data, tmp_path, capsys):
    rows = tmp_path / "rows"
    main(["counts", "--data", str(data), "--counts", "1", "4", "--out", str(rows)])
    kept(rows, tmp_path / "some.jsonl", ["block"])
    lines = [line for line in (tmp_path / "some.jsonl").read_text().splitlines() if "towns.dev-4-drawn" not in line]
    (tmp_path / "some.jsonl").write_text("\n".join(lines) + "\n")
    out = ["--out", str(tmp_path / "out")]
    assert not main(["counted", "--data", str(rows), "--answers", f"m={tmp_path / 'some.jsonl'}", *out])
    assert "| | 1 document |" in (tmp_path / "out" / "counted.md").read_text()
    (tmp_path / "none.jsonl").write_text(lines[0] + "\n")
    capsys.readouterr()
    assert main(["counted", "--data", str(rows), "--answers", f"m={tmp_path / 'none.jsonl'}", *out]) == 1
    assert "none.jsonl has no answers over all rows of a file" in capsys.readouterr().err
    assert main(["counted", "--data", str(tmp_path / "out"), "--answers", f"m={tmp_path / 'none.jsonl'}", *out]) == 1
    assert "write them with `counts`" in capsys.readouterr().err
    assert main(["counted", "--data", str(rows), "--answers", "none.jsonl", *out]) == 2
