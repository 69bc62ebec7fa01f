"""Questions that a server writes: what is drawn, what is dropped, that a second call asks nothing again, and the real path over HTTP."""

import json
from collections import Counter

import pytest

from blockstitch_training.answering.__main__ import main
from blockstitch_training.answering.question_files import Passage, Work, read_texts
from blockstitch_training.answering.written_questions import Drawing, ask, draw_unasked, is_about, write_questions
from blockstitch_training.distill.segmenting import COMMAND, ROOT
from blockstitch_training.evaluation.served import Served

FILLER = "stands beside the river since many years, and people from all the villages around come to see it on every market day of summer. "
WORKS = [Work(f"town-{town}", tuple(Passage(f"Town {town}", f"Bridge{town}x{part} {FILLER * 2}") for part in range(9)), ()) for town in range(5)]
DRAWING = Drawing(40, (4, 6), 2, "1")


class Model:
    """Writes a question about the first word of the passage, and answers with the number of documents. Some go wrong by its number."""

    def __init__(self, fails_after=None):
        self.asked = 0
        self.fails_after = fails_after

    def continued(self, prompt, regex, limit, temperature, seed):
        if self.fails_after is not None and self.asked >= self.fails_after:
            raise RuntimeError("the server is gone")
        self.asked += 1
        text = prompt.split("Text: ")[-1].split("\nQuestion:")[0]
        return {0: None, 1: "Which elephant dances tonight?"}.get(seed % 3, f"Where is {text.split()[0]} beside the river?")

    def answered(self, question, documents, limit):
        return None if "x0 " in question else f"{len(documents)} documents."


def test_half_of_the_contexts_are_neighbours_of_one_text_and_the_others_come_from_several():
    drawn = list(draw_unasked(WORKS, DRAWING))
    assert drawn == list(draw_unasked(WORKS, DRAWING)) != list(draw_unasked(WORKS, Drawing(40, (4, 6), 2, "2")))
    assert 10 < sum(len(each.works) == 1 for each in drawn) < 30
    for each in drawn:
        assert 4 <= len(each.documents) <= 6 and len(set(each.about)) == 2
        if len(each.works) == 1:
            parts = next(work.parts for work in WORKS if work.id == each.works[0])
            first = parts.index(each.documents[0])
            assert each.documents == parts[first : first + len(each.documents)]
        else:
            assert len(each.works) == len(each.documents)
    with pytest.raises(ValueError, match="no passage of these texts has 25 words"):
        list(draw_unasked([Work("short", (Passage("", "Two words."),), ())], DRAWING))


def test_a_question_must_speak_of_its_passage():
    assert is_about("Who built the harbour of Brelle?", "The harbour of Brelle was built in 1874.")
    assert not is_about("What do you know about this article?", "The harbour of Brelle was built in 1874.")
    assert not is_about("Who is it?", "Who is it?")  # no word that says what it is about


def test_what_cannot_be_used_is_counted_by_its_reason():
    model, dropped, asked = Model(), Counter(), []
    for drawn in draw_unasked(WORKS, DRAWING):
        new, left_out = ask(drawn, model, model, "1")
        asked += new
        dropped += left_out
        for each in new:
            assert each.question.split()[2] in drawn.documents[each.gold[0]].text and each.answer == f"{len(drawn.documents)} documents."
    assert dropped.keys() == {"no question about the passage", "answer too long, or empty"}
    assert len(asked) + dropped.total() == 80 and 80 < model.asked < 3 * 80  # some were written again


def test_a_call_that_was_cut_off_goes_on_and_nothing_is_asked_twice(tmp_path):
    file = tmp_path / "asked.jsonl"
    whole = write_questions(tmp_path / "whole.jsonl", WORKS, DRAWING, Model(), Model(), 4)
    with pytest.raises(RuntimeError, match="the server is gone"):
        write_questions(file, WORKS, DRAWING, Model(fails_after=30), Model(), 3)
    done = len(file.read_text().splitlines())
    assert 0 < done < 40
    with file.open("a") as out:
        out.write('{"number": 39, "ask')  # the line that was being written
    again = Model()
    assert write_questions(file, WORKS, DRAWING, again, Model(), 3) == whole
    assert 2 * (40 - done) <= again.asked <= 3 * 2 * (40 - done)
    questions = [each.question for context in whole[0] for each in context.asked]
    assert len(set(questions)) == len(questions) and whole[1]["asked before"] > 0


def test_texts_are_files_or_rows(tmp_path):
    (tmp_path / "a.md").write_text("Alpha.")
    (tmp_path / "b.jsonl").write_text('{"text": "Beta.", "title": "B"}\n\n{"text": " "}\n{"text": "Gamma."}\n')
    assert read_texts([tmp_path / "a.md", tmp_path / "b.jsonl"]) == [
        ("a.md", Passage("", "Alpha.")), ("b.jsonl:1", Passage("B", "Beta.")), ("b.jsonl:4", Passage("", "Gamma.")),
    ]  # fmt: skip
    (tmp_path / "b.jsonl").write_text('{"text": "Beta."}\n{"body": "x"}\n')
    with pytest.raises(ValueError, match="b.jsonl:2: this is no row with a text"):
        read_texts([tmp_path / "b.jsonl"])


@pytest.mark.skipif(not COMMAND.exists(), reason="the server is not built")
def test_a_running_server_writes_and_answers_and_what_is_wrong_is_said(tmp_path, capsys, monkeypatch):
    text = tmp_path / "towns.jsonl"
    rows = [{"title": f"Town {town}", "text": "\n\n".join(f"Bridge{town}x{part} {FILLER}" for part in range(8))} for town in range(4)]
    text.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    arguments = ["write", "--text", str(text), "--out", str(out), "--contexts", "3", "--target-tokens", "60", "--held-out", "0.25"]
    monkeypatch.setenv("BLOCKSTITCH_API_KEYS", "the-key")
    with Served(ROOT / "models" / "demo") as server:
        assert main([*arguments, "--url", server.url]) == 0
        said = capsys.readouterr()
        assert "train: 3 of 3 contexts" in said.err and str(out) in said.out
        card = (out / "CARD.md").read_text()
        assert "`demo` wrote the questions" in card and "over 4 texts" in card
        written = [json.loads(line) for name in ("train", "held-out") for line in (out / f"asked-{name}.jsonl").read_text().splitlines()]
        assert sum(len(row["asked"]) + sum(row["dropped"].values()) for row in written) == 3 * (3 + 1)
        assert main([*arguments, "--url", server.url]) == 0  # nothing is asked again
        assert [json.loads(line) for name in ("train", "held-out") for line in (out / f"asked-{name}.jsonl").read_text().splitlines()] == written
        assert main([*arguments, "--url", server.url, "--seed", "2"]) == 1
        assert "other settings" in capsys.readouterr().err
    assert main([*arguments, "--url", server.url]) == 1
    assert f"{server.url} cannot be reached: " in capsys.readouterr().err
    assert main([*arguments, "--url", server.url, "--documents", "5", "2"]) == 2
