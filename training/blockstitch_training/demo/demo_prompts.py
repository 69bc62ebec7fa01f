"""The demo model's tokenizer and prompt: which pieces a prompt has, each tokenized on its own, as the server does.

Prompt: [bos] then one block per document, then the final block: question and assistant header.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from .question_generator import Example, make_example

BOS, EOS, USER, ASSISTANT = "<|bos|>", "<|eos|>", "<|user|>", "<|assistant|>"
VOCABULARY = 1536
DOCUMENT = "{text}\n"
FINAL = USER + "{question}" + ASSISTANT
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for document in documents or [] %}{{ document['text'] }}\n{% endfor %}"
    "{% for message in messages %}{% if message['role'] == 'assistant' %}<|assistant|>{{ message['content'] }}<|eos|>"
    "{% else %}<|user|>{{ message['content'] }}{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def train_tokenizer(seed: int) -> Tokenizer:
    """Byte-level BPE over generated texts. A capital letter begins a token and takes no space along, so that a name has the same tokens
    everywhere; three letters of it are a token of their own (the stem), so that names share their parts."""
    rng = random.Random(seed)
    tokenizer = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(r" ?[a-z]+|[A-Z][a-z]{0,2}|\d{1,2}|\s+|[^\sA-Za-z\d]+"), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[BOS, EOS, USER, ASSISTANT], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    texts = []
    for _ in range(8000):
        example = make_example(rng, 2, 4, entities=2, two_hop=0.2, held_out=rng.random() < 0.2, continued=0.5)
        texts += [DOCUMENT.format(text=text) for text in example.documents]
        texts += [question.question for question in example.questions]
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, directory: Path) -> None:
    tokenizer.save(str(directory / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "model_max_length": 4096,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    ids = {"bos_token_id": tokenizer.token_to_id(BOS), "eos_token_id": tokenizer.token_to_id(EOS)}
    (directory / "generation_config.json").write_text(json.dumps({**ids, "do_sample": False}, indent=2) + "\n")


@dataclass
class TrainingRow:
    """A context and its questions side by side: each sees the context (group 0) and itself, from the same position on."""

    ids: list[int]
    positions: list[int]
    groups: list[int]
    is_answer: list[bool]


class Prompts:
    """Token ids of prompts, piece by piece."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self.bos = tokenizer.token_to_id(BOS)
        self.eos = tokenizer.token_to_id(EOS)

    def ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def blocks(self, documents: list[str]) -> list[list[int]]:
        return [self.ids(DOCUMENT.format(text=text)) for text in documents]

    def final(self, question: str) -> list[int]:
        return self.ids(FINAL.format(question=question))

    def training_row(self, example: Example) -> TrainingRow:
        """One context with all its questions and answers, each of them asked as if it were the only one."""
        ids = [self.bos] + [token for block in self.blocks(example.documents) for token in block]
        row = TrainingRow(ids, list(range(len(ids))), [0] * len(ids), [False] * len(ids))
        context = len(ids)
        for index, question in enumerate(example.questions):
            asked = self.final(question.question)
            answer = self.ids(question.answer) + [self.eos]
            row.ids += asked + answer
            row.positions += range(context, context + len(asked) + len(answer))
            row.groups += [index + 1] * (len(asked) + len(answer))
            row.is_answer += [False] * len(asked) + [True] * len(answer)
        return row
