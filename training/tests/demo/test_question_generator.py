"""What you may rely on when you use the question generator."""

import json
import random
import re
from pathlib import Path

import pytest

from blockstitch_training.demo.demo_prompts import DOCUMENT, FINAL
from blockstitch_training.demo.demo_samples import write_samples
from blockstitch_training.demo.demo_tokenizer import train_tokenizer
from blockstitch_training.demo.question_generator import OPENERS, SHORTENED, World, make_example


@pytest.mark.parametrize("seed", range(40))
def test_each_answer_stands_in_its_own_document(seed: int) -> None:
    example = make_example(random.Random(seed), documents=4, questions=6, entities=2)
    assert len(example.documents) == 4
    for question in example.questions:
        assert question.answer in example.documents[question.gold]


@pytest.mark.parametrize("seed", range(40))
def test_no_other_document_answers_the_question(seed: int) -> None:
    example = make_example(random.Random(seed), documents=8, questions=8, entities=2)
    for question in example.questions:
        assert sum(question.answer in text for text in example.documents) == 1


def test_a_two_hop_question_leads_over_two_documents() -> None:
    examples = [make_example(random.Random(seed), documents=8, questions=8, two_hop=1.0) for seed in range(40)]
    questions = [(example, question) for example in examples for question in example.questions if question.via is not None]
    assert len(questions) > 40
    for example, question in questions:
        person = re.match(r"[A-Z][a-z]+", question.answer).group()
        assert person not in question.question
        assert person in example.documents[question.via]
        assert question.answer in example.documents[question.gold]
        assert question.gold != question.via


@pytest.mark.parametrize("seed", range(20))
def test_a_continued_document_begins_with_the_subject_of_the_one_before(seed: int) -> None:
    example = make_example(random.Random(seed), documents=6, questions=24, continued=1.0)
    continued = [question for question in example.questions if question.sort == "continued"]
    assert continued
    for question in continued:
        name = re.search(r"[A-Z][a-z]{4,}", question.answer).group()
        assert question.named_in == question.gold - 1
        assert name in example.documents[question.named_in] and question.answer not in example.documents[question.gold]
        assert question.answer.replace(name, f"{name[:SHORTENED]}.") in example.documents[question.gold]


def test_an_initial_stands_for_one_subject_of_a_kind_unless_all_share_the_stem() -> None:
    subject = re.compile(r"(?:^|\. )(?:The )?([A-Z][a-z]{4,}) ")
    apart = make_example(random.Random(1), documents=12, questions=1, continued=0.5)
    same = make_example(random.Random(1), documents=12, questions=1, continued=0.5, shared="stem")
    assert len({name[:3] for text in same.documents for name in subject.findall(text)}) == 1
    assert len({name[0] for text in apart.documents for name in subject.findall(text)}) == 12


def test_subjects_that_share_an_ending_are_told_apart_by_the_stem() -> None:
    subject = re.compile(r"(?:^|\. )(?:The )?([A-Z][a-z]{4,}) ")
    example = make_example(random.Random(2), documents=12, questions=1, shared="ending")
    names = {name for text in example.documents for name in subject.findall(text)}
    assert len(names) == 12 and len({name[3:] for name in names}) == 1 and len({name[:3] for name in names}) == 12


def test_alike_subjects_are_of_one_kind_and_told_of_in_one_order() -> None:
    facts = World(random.Random(3), 6, 1, held_out=False, continued=0.0, shared=None, alike=True).facts
    told = [[(fact.kind, fact.attribute) for fact in facts if fact.document == document] for document in range(6)]
    assert told[0] and told == [told[0]] * 6


def openers_and_cores(held_out: bool) -> set[tuple[str, str]]:
    """How questions were asked: the opener, and the rest with names left out."""
    asked = set()
    for seed in range(80):
        for question in make_example(random.Random(seed), 8, 99, held_out=held_out).questions:
            opener = next(opener for opener in sorted(OPENERS, key=len, reverse=True) if question.question.startswith(opener))
            asked.add((opener, re.sub(r"[A-Z][a-z]{4,}", "_", question.question[len(opener) :].strip())))
    return asked


def test_held_out_questions_are_never_trained_and_their_parts_are() -> None:
    trained, held_out = openers_and_cores(False), openers_and_cores(True)
    assert len(held_out) >= 40 and not held_out & trained
    assert {core for _, core in held_out} <= {core for _, core in trained}
    assert {opener for opener, _ in held_out} <= {opener for opener, _ in trained}


def test_the_same_seed_gives_the_same_example() -> None:
    assert make_example(random.Random(5), 3, 3) == make_example(random.Random(5), 3, 3)
    assert make_example(random.Random(5), 3, 3) != make_example(random.Random(6), 3, 3)


def test_samples_name_their_files(tmp_path) -> None:
    write_samples(tmp_path, documents=3, entities=2, questions=4)
    for row in json.loads((tmp_path / "questions.json").read_text()):
        assert row["answer"] in (tmp_path / row["gold"]).read_text()
        assert all((tmp_path / name).exists() for name in row["documents"])


def test_the_tokenizer_gives_back_every_text() -> None:
    tokenizer = train_tokenizer(seed=1)
    example = make_example(random.Random(9), 2, 2)
    for text in [DOCUMENT.format(text=example.documents[0]), example.questions[0].question, "Grüße, 世界 🙂"]:
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    ids = tokenizer.encode(FINAL.format(question="Who?"), add_special_tokens=False).ids
    assert ids[0] == tokenizer.token_to_id("<|user|>") and ids[-1] == tokenizer.token_to_id("<|assistant|>")


def test_the_shipped_samples_are_what_the_generator_writes(tmp_path) -> None:
    write_samples(tmp_path, documents=8, entities=3, questions=5)
    shipped = Path(__file__).parents[3] / "models" / "demo" / "samples"
    assert {path.name: path.read_text() for path in shipped.iterdir()} == {path.name: path.read_text() for path in tmp_path.iterdir()}
