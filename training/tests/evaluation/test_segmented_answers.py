"""Answers over cut texts: what counts as right, and the search for a target that gives every segmenter the same mean block length."""

from __future__ import annotations

import random
import re

import pytest

from blockstitch_training.evaluation import segmented_answers as answers


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


def test_texts_are_the_same_for_every_segmenter_and_ask_one_question_each() -> None:
    first, second = answers.draw(5, 6), answers.draw(5, 6)
    assert [text for text, _ in first] == [text for text, _ in second]
    for text, example in first:
        assert len(example.questions) == 1
        assert answers.subject(example.documents[0]) in text


def test_a_text_runs_on_and_leaves_names_out_but_nothing_else() -> None:
    passages = ["Kalido lives in Bergo. Kalido works as a baker. Kalido trusts Marima.", "The Dogali comes in red. The Dogali is all silk."] * 12
    text = answers.running_text(random.Random(1), passages)
    assert text.startswith("Kalido lives in Bergo.") and "K. works as a baker." in text and "The D. is all silk." in text
    assert 1 < text.count("\n") < len(passages) - 1
    bare = re.sub("|".join(map(re.escape, answers.ASIDES)), "", text).replace("K. ", "Kalido ").replace("D. ", "Dogali ")
    assert bare.split() == " ".join(passages).split()


@pytest.mark.parametrize(("passage", "name"), [("The Dogali comes in red. The Dogali is all silk.", "Dogali"), ("It rained. That is so.", "")])
def test_the_subject_is_the_name_in_every_sentence(passage: str, name: str) -> None:
    assert answers.subject(passage) == name


def test_a_lead_is_of_the_same_questions_and_its_error_of_their_differences() -> None:
    assert answers.lead([True, False], [True, False]) == (0, 0)
    by, error = answers.lead([True] * 3 + [False], [True] * 2 + [False] * 2)
    assert by == 0.25 and error == pytest.approx((0.75**2 + 3 * 0.25**2) ** 0.5 / 4)
