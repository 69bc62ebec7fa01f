"""Where examples come from: generated questions, chat-style JSONL with documents, or plain text cut by the segmenter.

Every example depends on its source's seed and its own number alone. The prompts are those of chat_prompt.py and of the demo room.
segmenting.py cuts text.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from ..demo.demo_prompts import DOCUMENT, FINAL
from ..demo.question_generator import make_example
from .chat_prompt import ChatPrompt, Document
from .examples import Example, Final
from .segmenting import cut_texts


@dataclass(frozen=True)
class QuestionSource:
    """Freshly generated documents and questions over them, in the demo model's prompt."""

    tokenizer: PreTrainedTokenizerBase
    seed: int
    documents: tuple[int, int] = (1, 16)
    entities: tuple[int, int] = (1, 2)  # per document
    questions: int = 32  # per context, fewer where there are few documents
    two_hop: float = 0.1
    continued: float = 0.8  # share of the documents that go on where the one before was cut

    def example(self, index: int) -> Example:
        rng = random.Random(f"distill/{self.seed}/{index}")
        documents = rng.randint(*self.documents)
        made = make_example(rng, documents, min(self.questions, 4 * documents), rng.randint(*self.entities), self.two_hop, continued=self.continued)
        blocks = tuple(tuple(self.ids(DOCUMENT.format(text=text))) for text in made.documents)
        finals = tuple(
            Final.of_answer(
                self.ids(FINAL.format(question=asked.question)),
                [*self.ids(asked.answer), self.tokenizer.eos_token_id],
                frozenset(place for place in (asked.gold, asked.via, asked.named_in) if place is not None),
            )
            for asked in made.questions
        )
        return Example(blocks, finals)

    def ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)


class ShuffledSource:
    """A finite list of examples, in another order each time round."""

    def __init__(self, examples: list[Example], seed: int):
        if not examples:
            raise ValueError("the training data holds no usable example")
        self.examples = examples
        self.seed = seed
        self._round: tuple[int, list[int]] = (-1, [])

    def example(self, index: int) -> Example:
        turn, at = divmod(index, len(self.examples))
        if self._round[0] != turn:
            order = list(range(len(self.examples)))
            random.Random(f"{self.seed}/{turn}").shuffle(order)
            self._round = (turn, order)
        return self.examples[self._round[1][at]]


@dataclass(frozen=True)
class Cutting:
    checkpoint: Path
    segmenter: str = "auto"
    target_tokens: int = 200
    max_tokens: int = 512

    def cut(self, texts: list[str]) -> list[list[str]]:
        return cut_texts(texts, self.checkpoint, self.segmenter, self.target_tokens, self.max_tokens)


def chat_examples(file: Path, tokenizer: PreTrainedTokenizerBase, sinks: list[int], cutting: Cutting, longest: int) -> tuple[list[Example], int]:
    """
    Reads JSONL with one conversation per line. `messages` have OpenAI's form. The last one is the assistant's, the answer that is
    trained. `documents` are texts, or objects with `text`, optional `title` and optional `blocks` (the text, already cut).
    `gold`, where it is there, are indexes of the documents that the answer needs; [] if they do not hold it.
    Conversations one behind another over the same documents become one example, up to `longest`: they share
    the documents' prefill.

    @param longest tokens of one example; longer ones are left out
    @returns examples and the number of those left out
    @raise ValueError naming the line that cannot be used
    """
    rows = []
    for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_chat_row(json.loads(line)))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{file}:{number}: {error}") from error
    whole = [document["text"] for _, documents, _ in rows for document in documents if "blocks" not in document]
    cuts = iter(cutting.cut(whole) if whole else [])
    prompt = ChatPrompt(tokenizer, sinks)
    examples = []
    for messages, documents, gold in rows:
        made = [Document(tuple(document["blocks"] if "blocks" in document else next(cuts)), document.get("title", "")) for document in documents]
        planned = prompt.plan(messages[:-1], made)
        answer = tokenizer.encode(messages[-1]["content"], add_special_tokens=False)
        needs = frozenset(at for at, owner in enumerate(planned.owners) if owner in gold)
        final = Final.of_answer(planned.final, [*answer, tokenizer.eos_token_id], needs)
        context = tuple(map(tuple, planned.blocks))
        framing = frozenset(at for at, owner in enumerate(planned.owners) if owner is None)
        joined = Example(context, (*examples[-1].finals, final), framing) if context and examples and examples[-1].blocks == context else None
        if joined and joined.tokens <= longest:
            examples[-1] = joined
        else:
            examples.append(Example(context, (final,), framing))
    fitting = [example for example in examples if example.tokens <= longest]
    return fitting, len(examples) - len(fitting)


def _chat_row(row: dict) -> tuple[list[dict[str, str]], list[dict], frozenset[int]]:
    messages = row["messages"]
    if not messages or messages[-1]["role"] != "assistant" or not messages[-1]["content"]:
        raise ValueError("the last message must be the assistant's, and not empty")
    documents = [{"text": each} if isinstance(each, str) else each for each in row.get("documents", [])]
    if any(not (document.get("text") or document.get("blocks")) for document in documents):
        raise ValueError("a document has no text")
    gold = frozenset(row.get("gold", []))
    if not gold <= set(range(len(documents))):
        raise ValueError(f"gold names documents {sorted(gold)} of {len(documents)}")
    return messages, documents, gold


def text_examples(paths: list[Path], tokenizer: PreTrainedTokenizerBase, cutting: Cutting, longest: int) -> list[Example]:
    """
    Reads plain text: each file is one text (`.jsonl`: each line is one, under `text`). The texts are cut into blocks. Runs of blocks of at
    most `longest` tokens become examples, and the last block of a run is its final block.
    """
    texts = read_texts(paths)
    examples = []
    for parts in cutting.cut(texts):
        run: list[tuple[int, ...]] = []
        length = 0
        for part in [*parts, None]:
            ids = None if part is None else tuple(tokenizer.encode(part, add_special_tokens=False)[:longest])
            if ids is None or (run and length + len(ids) > longest):
                if len(run) >= 2 and len(run[-1]) >= 2:
                    examples.append(Example(tuple(run[:-1]), (Final.of_text(list(run[-1])),)))
                run, length = [], 0
            if ids:
                run.append(ids)
                length += len(ids)
    return examples


def read_texts(paths: list[Path]) -> list[str]:
    texts = []
    for path in paths:
        if path.suffix == ".jsonl":
            texts += [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        else:
            texts.append(path.read_text(encoding="utf-8"))
    return [text for text in texts if text.strip()]
