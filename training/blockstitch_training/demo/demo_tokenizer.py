"""The demo model's tokenizer: trained on generated texts, written with the chat template that the server reads."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from .demo_prompts import ASSISTANT, BOS, DOCUMENT, EOS, USER
from .question_generator import make_example

VOCABULARY = 1536
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for document in documents or [] %}{{ document['text'] }}\n{% endfor %}"
    "{% for message in messages %}{% if message['role'] == 'assistant' %}<|assistant|>{{ message['content'] }}<|eos|>"
    "{% else %}<|user|>{{ message['content'] }}{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def train_tokenizer(seed: int) -> Tokenizer:
    """Byte-level BPE over generated texts.

    A capital letter begins a token and takes no space along, so that a name has the same tokens everywhere. Three letters of it are a
    token of their own (the stem), so that names share their parts.
    """
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
