"""Scores of answers, recovery and bootstrap intervals."""

import pytest

from blockstitch_training.evaluation.answer_scores import contains, exact, f1, interval, recovery


def test_answers_are_compared_without_case_articles_and_punctuation():
    assert exact("The Bastavo lives in Rome.", ["bastavo lives in rome"]) == 1
    assert exact("Bastavo lives in Bern.", ["Bastavo lives in Rome."]) == 0
    assert contains("It was in 1961, I think.", ["1945", "1961"]) == 1
    assert f1("red green", ["green blue"]) == pytest.approx(0.5)
    assert f1("", [""]) == 1


@pytest.mark.parametrize(
    ("answer", "accepted", "found"),
    [
        ("Not in the documents.", ["no"], 0), ("In 1995.", ["5"], 0), ("B", ["A"], 0), ("The answer is A.", ["A"], 1), ("Not in the documents.", ["The"], 1),
        ("3000 people", ["3,000"], 1), ("the US", ["U.S."], 1), ("New York", ["New-York"], 1), ("anything", [""], 0), ("anything", ["?!"], 0), ("no", ["No."], 1),
    ],
)  # fmt: skip
def test_an_answer_is_contained_by_whole_words(answer, accepted, found):
    assert contains(answer, accepted) == found


def test_recovery_is_the_share_of_the_gap_with_an_interval_around_it():
    teacher, plain, student = [1.0] * 100, [0.0] * 60 + [1.0] * 40, [0.0] * 6 + [1.0] * 94
    made = recovery(student, plain, teacher)
    low, high = made["interval"]
    assert made["value"] == pytest.approx(0.9)
    assert 0.78 < low < 0.9 < high <= 1.0
    assert recovery(teacher, teacher, teacher)["value"] is None


def test_a_bootstrap_interval_narrows_with_more_questions():
    def width(values):
        low, high = interval(lambda chosen: sum(values[at] for at in chosen) / len(chosen), len(values))
        return high - low

    assert width([0.0, 1.0] * 200) < 0.5 * width([0.0, 1.0] * 20)
