"""What a user of the question generator may rely on."""

import json
import random
import re

import pytest

from blockstitch_training.demo_tokens import DOCUMENT, FINAL, train_tokenizer
from blockstitch_training.questions import make_example
from blockstitch_training.write_samples import write_samples


@pytest.mark.parametrize("seed", range(40))
def test_each_answer_stands_in_its_own_document(seed: int) -> None:
    example = make_example(random.Random(seed), documents=4, questions=6, entities=2)
    assert len(example.documents) == 4
    for question in example.questions:
        assert question.answer in example.documents[question.gold]


@pytest.mark.parametrize("seed", range(40))
def test_the_entity_asked_for_is_named_in_one_document_only(seed: int) -> None:
    example = make_example(random.Random(seed), documents=8, questions=8)
    for question in example.questions:
        names = [name for name in re.findall(r"[A-Z][a-z]+", question.question) if name in example.documents[question.gold]]
        assert names
        assert sum(any(re.search(rf"\b{name}\b", text) for name in names) for text in example.documents) == 1


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
