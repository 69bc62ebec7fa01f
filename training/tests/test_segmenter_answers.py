"""Answers over cut texts: what counts as right, and the search for a target that gives every segmenter the same mean block length."""

from __future__ import annotations

import pytest

from blockstitch_training.segmenter import answers


@pytest.mark.parametrize(
    ("said", "right"),
    [("Kalido lives in Bergo.", True), (" kalido lives  in bergo", True), ("Answer: Kalido lives in Bergo.", True), ("Dogali lives in Bergo.", False), ("", False)],
)
def test_an_answer_is_right_when_it_says_the_sentence_whatever_its_case(said: str, right: bool) -> None:
    assert answers.is_right(said, "Kalido lives in Bergo.") is right


def test_the_target_is_searched_whose_blocks_have_the_wanted_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    # A segmenter whose blocks come out at three fifths of the target.
    monkeypatch.setattr(answers, "mean_length", lambda url, texts, segmenter, target: 0.6 * target)
    target, mean = answers.target_for("", [], "fixed", 60)
    assert 95 <= target <= 105 and mean == pytest.approx(60, rel=0.05)


def test_a_segmenter_that_never_cuts_gets_its_nearest_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "mean_length", lambda url, texts, segmenter, target: 240.0)
    assert answers.target_for("", [], "paragraphs", 60)[1] == 240


def test_texts_are_the_same_for_every_segmenter_and_hold_their_answers() -> None:
    first, second = answers.draw(5, 3, 3), answers.draw(5, 3, 3)
    assert [text for text, _ in first] == [text for text, _ in second]
    for text, example in first:
        assert all(document in text for document in example.documents)
        assert len(example.questions) == 1
