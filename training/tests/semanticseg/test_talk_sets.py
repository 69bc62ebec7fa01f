"""Task dialogues, labelled talk and stuffed prompts: their boundaries, their splits, and what is kept out."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from blockstitch_training.semanticseg.document import CHAPTER, DOCUMENT, FINEST, SEAM, SECTION, Piece, SourceDocument
from blockstitch_training.semanticseg.labelled_talk import QMSUM, TIAGE, even_rows, labelled_instances
from blockstitch_training.semanticseg.pool import Pool
from blockstitch_training.semanticseg.prompt_templates import SEEN, UNSEEN, draw_template
from blockstitch_training.semanticseg.stuffed_prompts import Passage, PassageFolder, instance, kept_out_prompts, stuffed_instances
from blockstitch_training.semanticseg.task_dialogues import read_dialogues, split_of_dialogue, task_instances


def dialogues_file(folder: Path, count: int = 60) -> Path:
    path = folder / "sgd.jsonl"
    services = ("Hotels_1", "Flights_2", "Weather_1")
    with path.open("w") as out:
        for number in range(count):
            service = services[number % 3]
            turns = [["U", f"I want thing {number}.", service, "Find"], ["S", "Where to?", service, "Find"], ["U", "Book it.", service, "Book"], ["S", "Done.", service, "Book"]]
            if number % 5 == 0:
                turns += [["U", "And the weather?", "Weather_1", "Get"], ["S", "It rains.", "Weather_1", "Get"]]
            out.write(json.dumps({"id": f"d{number}", "turns": [*turns, ["U", "Thanks, bye.", turns[-1][2], turns[-1][3]]]}) + "\n")
    return path


def test_a_dialogue_has_boundaries_where_intent_and_service_change(tmp_path: Path) -> None:
    first = read_dialogues(dialogues_file(tmp_path))[0]
    assert [turn.level for turn in first.turns] == [0, 0, FINEST, 0, SECTION, 0, 0]
    assert first.services == ("Hotels_1", "Weather_1")


def test_a_row_that_is_no_dialogue_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"id": "a", "turns": [["U", "hi"]]}\n')
    with pytest.raises(ValueError, match="bad.jsonl:1"):
        read_dialogues(path)


def test_dialogues_that_are_kept_out_are_in_no_training_row(tmp_path: Path) -> None:
    dialogues = read_dialogues(dialogues_file(tmp_path))
    used = {split: {name for row in task_instances(dialogues, split, 40, 1) for name in row.provenance.split(" | ")} for split in ("train", "test")}
    assert used["train"] and used["test"] and not used["train"] & used["test"]
    assert {name for name in used["test"]} <= {f"sgd/{each.id}" for each in dialogues if split_of_dialogue(each.id) == "test" and len(each.services) == 1}


def test_joined_dialogues_have_their_boundary_between_them(tmp_path: Path) -> None:
    dialogues = read_dialogues(dialogues_file(tmp_path))
    for row in task_instances(dialogues, "test", 20, 1):
        assert set(row.levels) == {CHAPTER}
        assert len(row.segments) == len(row.levels) + 1 == len(row.provenance.split(" | "))
    levels = {level for row in task_instances(dialogues, "train", 40, 1) for level in row.levels}
    assert levels == {FINEST, SECTION, CHAPTER}
    assert [row.row() for row in task_instances(dialogues, "train", 3, 1)] == [row.row() for row in task_instances(dialogues, "train", 3, 1)]


def test_only_even_rows_of_labelled_talk_are_used(tmp_path: Path) -> None:
    path = tmp_path / "qmsum.dev.jsonl"
    with path.open("w") as out:
        for number in range(6):
            said = "even" if number % 2 == 0 else "odd"
            out.write(json.dumps({"segments": [f"Chair : the {said} one {number}\nPhD A : yes {{vocalsound}} .", f"Chair : {said} again"]}) + "\n")
    rows = even_rows(path)
    assert len(rows) == 3
    for source, strength in ((QMSUM, DOCUMENT), (TIAGE, SECTION)):
        for row in labelled_instances(source, rows, 30, 1):
            assert "odd" not in "\n".join(row.segments).lower()
            assert set(row.levels) <= {strength} and len(row.levels) == len(row.segments) - 1


def passages(count: int) -> PassageFolder:
    def document(number: int) -> SourceDocument:
        pieces = tuple(Piece(f"Paragraph {part} of text {number}. " * 12, SECTION, f"Part {part}") for part in range(3))
        return SourceDocument(f"web/{number}", f"web/{number}", "web", "web", "MIT", "here", "prose", pieces)

    pool = Pool([document(number) for number in range(count)], "test")
    ready = [[Passage(f"nq/{number}", f"Title {number}", f"nq/{number}", "MIT", (f"Passage {number} tells of it. " * 10,)) for number in range(20)]]
    return PassageFolder(pool, "test", ready, ["who was it?"])


def test_a_prompt_has_a_seam_before_and_behind_every_passage() -> None:
    chosen = [Passage(f"p{number}", f"T{number}", "s", "MIT", ("one", "two"), (SECTION,)) for number in range(3)]
    for template in (*SEEN, *UNSEEN):
        made = instance("x", "train", template, chosen, "who?")
        assert made.levels.count(SEAM) == 2 + bool(template.before) + bool(template.after)
        assert made.levels.count(SECTION) == 3
        assert "{" not in "".join(made.segments)


def test_drawn_templates_leave_no_field_open() -> None:
    chosen = [Passage(f"p{number}", f"T{number}", "s", "MIT", ("one",)) for number in range(2)]
    for seed in range(400):
        made = instance("x", "train", draw_template(random.Random(seed)), chosen, "who?")
        assert not any(field in "\n".join(made.segments) for field in ("{n}", "{w}", "{title}", "{source}", "{score}", "{zero}", "{question}"))
        assert SEAM in made.levels


def test_kept_out_prompts_hold_the_same_passages_in_other_orders() -> None:
    rows = list(kept_out_prompts(passages(30), 20, 3, 1))
    assert len(rows) == 60 and sum(row["unseen"] for row in rows) == 15
    for at in range(0, 60, 3):
        group = rows[at : at + 3]
        assert {row["group"] for row in group} == {at // 3} and len({row["template"] for row in group}) == 1
        assert len({row["provenance"] for row in group}) >= 1 and all(sorted(row["order"]) == list(range(8)) for row in group)
        assert all(row["levels"][seam] == SEAM for row in group for seam in row["seams"])


def test_prompts_for_training_are_the_same_for_the_same_seed() -> None:
    first, second = ([row.row() for row in stuffed_instances(passages(30), 10, seed)] for seed in (1, 1))
    assert first == second
