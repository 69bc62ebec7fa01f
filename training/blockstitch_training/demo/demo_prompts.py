"""The demo model's prompt: its pieces, each tokenized on its own, as the server does.

Prompt: [bos], then one block per document, then the final block: question and assistant header.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer

from .question_generator import Example

BOS, EOS, USER, ASSISTANT = "<|bos|>", "<|eos|>", "<|user|>", "<|assistant|>"
DOCUMENT = "{text}\n"
FINAL = USER + "{question}" + ASSISTANT


@dataclass
class TrainingRow:
    """A context and its questions side by side. Each question sees the context (group 0) and itself. All begin at the same position."""

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
        """One context with all its questions and answers. Each is asked as if it were the only one."""
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
