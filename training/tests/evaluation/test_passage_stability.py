"""Seams found and passages cut alike, on cuts that are given."""

from __future__ import annotations

from blockstitch_training.evaluation.passage_stability import PromptRow, passages_of, stability

# Two passages of ten characters between a preamble and a question; line breaks between all.
TEXT = "Read.\n\naaaa aaaa.\n\nbbbb bbbb.\n\nWhy?"
SEAMS = (7, 19, 31)


def row(order: tuple[int, ...], group: int = 0) -> PromptRow:
    return PromptRow("x", group, "blank-lines", False, True, order, TEXT, SEAMS)


def test_a_seam_is_found_where_white_space_alone_lies_between() -> None:
    found, blocks = passages_of(row((0, 1)), [6, 19, 24])
    assert found == [True, True, False]
    assert blocks == {0: (), 1: None}


def test_a_passage_is_the_same_if_its_inner_cuts_are() -> None:
    rows = [row((0, 1)), row((1, 0))]
    same = stability(rows, [[7, 12, 19, 31], [7, 19, 24, 31]])
    assert same.parts["all"].row() == {"seams": 6, "found": 6, "passages": 2, "same": 2, "found_share": 1.0, "same_share": 1.0}
    other = stability(rows, [[7, 12, 19, 31], [7, 19, 31]])
    assert other.parts["all"].same == 1
    missing = stability(rows, [[7, 19, 31], [7, 31]])
    assert (missing.parts["all"].found, missing.parts["all"].same) == (5, 0)
