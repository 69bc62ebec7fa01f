"""What the comparisons with llama.cpp and between stores say of tokens and answers that are given here."""

import math

from blockstitch_training.evaluation.llama_peer import Choice, is_near_tie, parting, row_line, summary
from blockstitch_training.evaluation.store_agreement import StoreAnswers, differences


def chosen(token: str, **others: float) -> Choice:
    return Choice(token, {token: math.log(0.5), **{name: math.log(share) for name, share in others.items()}})


def test_equal_tokens_agree_also_where_one_engine_reports_the_end() -> None:
    row = {"prompt": 0, "prompt_tokens": 7, **parting([chosen("a"), chosen("b")], [chosen("a"), chosen("b"), chosen("")])}
    assert row["same"] and row["agreed"] == 2
    assert row_line(row).endswith("all 2 tokens agree")


def test_tokens_that_part_at_a_near_tie_are_told_from_others() -> None:
    near = parting([chosen("a"), chosen("b", c=0.49)], [chosen("a"), chosen("c", b=0.4)])
    far = parting([chosen("b", c=0.1)], [chosen("c", b=0.1)])
    unknown = parting([chosen("b")], [chosen("c", b=0.49)])
    assert (near["agreed"], near["ours"], near["theirs"]) == (1, "b", "c")
    assert math.isclose(near["our_gap"], math.log(0.5 / 0.49))
    assert [is_near_tie(row) for row in (near, far, unknown)] == [True, False, False]
    rows = [{"prompt": number, "prompt_tokens": 1, **row} for number, row in enumerate((near, far, unknown))]
    assert summary(rows).startswith("0 of 3 prompts agree in every token; of the other 3, 1 part at a near tie")
    assert "gaps not among the best, 0.0202" in row_line(rows[2])


def test_an_engine_that_ends_much_earlier_does_not_agree() -> None:
    row = {"prompt": 0, "prompt_tokens": 1, **parting([chosen("a")], [chosen("a"), chosen("b"), chosen("c")])}
    assert not row["same"]
    assert row_line(row).endswith("one engine ends after 1 tokens")


def test_answers_that_differ_between_stores_are_named() -> None:
    first, second = StoreAnswers("LMDB, computed", ["x", "y"], {}), StoreAnswers("Redis, loaded", ["x", "z"], {})
    assert differences([first, first]) == []
    assert differences([first, second]) == ["question 1: LMDB, computed says 'y', Redis, loaded says 'z'"]
