"""The purpose of the shipped demo model: under block attention it answers questions that its teacher, merely stitched, does not."""

from pathlib import Path

import pytest

from blockstitch_training.demo.question_sets import Asked, generated, orders
from blockstitch_training.evaluation.asked_prompts import demo_prompts
from blockstitch_training.evaluation.systems import System

MODELS = Path(__file__).parents[3] / "models"
QUESTIONS = 16


@pytest.fixture(scope="module")
def student() -> System:
    return System.load(MODELS / "demo")


@pytest.fixture(scope="module")
def teacher() -> System:
    return System.load(MODELS / "demo-teacher")


@pytest.fixture(scope="module")
def asked() -> list[Asked]:
    return generated(8, QUESTIONS, "continued")


def right(system: System, asked: list[Asked], mode: str) -> int:
    answers = system.answers(demo_prompts(asked, system.tokenizer), mode)
    return sum(answer in each.accepted for answer, each in zip(answers, asked, strict=True))


def test_the_student_answers_from_stitched_blocks_as_its_teacher_does_from_the_whole_text(student, teacher, asked):
    assert right(teacher, asked, "full") >= 0.9 * QUESTIONS
    assert right(student, asked, "block") >= 0.9 * QUESTIONS
    assert right(teacher, asked, "block") <= 0.6 * QUESTIONS


def test_the_student_keeps_full_attention(student, asked):
    assert right(student, asked, "full") >= 0.9 * QUESTIONS


def test_the_student_answers_in_any_order_of_the_documents(student, asked):
    [turned] = orders(asked, 1)
    assert right(student, turned, "block") >= 0.9 * QUESTIONS


def test_the_student_brings_its_own_sink_tokens(student, teacher):
    assert student.sinks[: len(teacher.sinks)] == teacher.sinks and len(student.sinks) > len(teacher.sinks)
