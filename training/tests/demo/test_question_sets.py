"""Sets of held-out questions: they repeat, and they hold the questions that their names promise."""

import re

import pytest

from blockstitch_training.demo.question_generator import SHORTENED
from blockstitch_training.demo.question_sets import generated, orders


def test_generated_sets_repeat_and_have_gold_documents_everywhere():
    asked = generated(8, 60)
    assert asked == generated(8, 60)
    assert {each.gold for each in asked} == set(range(8))
    for each in asked:
        assert len(each.documents) == 8
    for each in generated(8, 20, "direct"):
        assert each.accepted[0] in each.documents[each.gold]


def test_a_continued_answer_stands_abbreviated_where_the_text_goes_on():
    for each in generated(8, 20, "continued"):
        name = re.search(r"[A-Z][a-z]{4,}", each.accepted[0]).group()
        assert each.accepted[0].replace(name, f"{name[:SHORTENED]}.") in each.documents[each.gold]
        assert name in each.documents[each.gold - 1] and each.accepted[0] not in each.documents[each.gold]


def test_questions_over_two_documents_need_two_documents():
    for each in generated(4, 10, "two-hop"):
        assert each.via is not None and each.via != each.gold
    for sort in ("two-hop", "continued"):
        with pytest.raises(ValueError, match="two documents"):
            generated(1, 1, sort)
    with pytest.raises(ValueError, match="continued must be above 0"):
        generated(8, 1, "continued", continued=0.0)
    with pytest.raises(ValueError, match="sort must be one of"):
        generated(8, 1, "three-hop")


def test_other_orders_ask_the_same_with_the_gold_document_elsewhere():
    asked = generated(8, 20)
    for turn in orders(asked, 3):
        for before, after in zip(asked, turn, strict=True):
            assert sorted(before.documents) == sorted(after.documents)
            assert after.documents[after.gold] == before.documents[before.gold]
    assert orders(asked, 2)[0] != orders(asked, 2)[1]
