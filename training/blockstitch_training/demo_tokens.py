"""The demo model's tokenizer and prompt: which pieces a prompt has, each tokenized on its own, as the server does.

Prompt: [bos] then one block per document, then the final block: question and assistant header.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from .questions import make_example

BOS, EOS, USER, ASSISTANT = "<|bos|>", "<|eos|>", "<|user|>", "<|assistant|>"
VOCABULARY = 768
DOCUMENT = "{text}\n"
FINAL = USER + "{question}" + ASSISTANT
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for document in documents or [] %}{{ document['text'] }}\n{% endfor %}"
    "{% for message in messages %}{% if message['role'] == 'assistant' %}<|assistant|>{{ message['content'] }}<|eos|>"
    "{% else %}<|user|>{{ message['content'] }}{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def train_tokenizer(seed: int) -> Tokenizer:
    """Byte-level BPE over generated texts. A capital letter begins a token, so that a name has the same tokens everywhere."""
    rng = random.Random(seed)
    tokenizer = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(r" ?[a-z]+|[A-Z][a-z]?|\d|\s+|[^\sA-Za-z\d]+"), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[BOS, EOS, USER, ASSISTANT], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    texts = []
    for _ in range(4000):
        example = make_example(rng, 2, 4)
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
