"""The training data of a run, as its command names it: conversations, plain text or generated questions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transformers import AutoConfig

from .checkpoint import load_tokenizer
from .distill_settings import Settings
from .example_sources import Cutting, QuestionSource, ShuffledSource, chat_examples, text_examples
from .examples import Source
from .sink_tokens import base_sinks


@dataclass(frozen=True)
class TrainingData:
    """`chat` or `text` names files; without either the questions are generated."""

    chat: Path | None
    text: list[Path] | None
    documents: tuple[int, int]  # fewest and most generated documents per context
    two_hop: float  # share of the generated questions that lead over two documents
    segmenter: str
    target_tokens: int  # wanted length of a block of text
    max_block_tokens: int
    longest: int  # tokens of one example


def source_of(data: TrainingData, settings: Settings) -> Source:
    """Reads the data and says how much of it there is."""
    tokenizer = load_tokenizer(settings.teacher)
    cutting = Cutting(Path(settings.teacher), data.segmenter, data.target_tokens, data.max_block_tokens)
    if data.chat:
        sinks = base_sinks(AutoConfig.from_pretrained(settings.teacher))
        examples, left_out = chat_examples(data.chat, tokenizer, sinks, cutting, data.longest)
        print(f"{len(examples)} conversations, {left_out} longer than {data.longest} tokens left out", flush=True)
        return ShuffledSource(examples, settings.seed)
    if data.text:
        examples = text_examples(data.text, tokenizer, cutting, data.longest)
        print(f"{len(examples)} runs of blocks", flush=True)
        return ShuffledSource(examples, settings.seed)
    return QuestionSource(tokenizer, settings.seed, tuple(data.documents), two_hop=data.two_hop)
