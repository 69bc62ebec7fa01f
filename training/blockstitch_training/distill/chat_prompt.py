"""Makes the token ids of a chat prompt with documents, as the server does (src/prompt is the reference).

Each document has a frame: what the chat template puts around it. Each block is tokenized on its own. The rest are stretches between
the documents. A template that does not know `documents` gets them at the start of the first user message, each as `Title: ...`, its
text and an empty line. A text that spells a control token stays text. It knows tokenizers and templates, and no models.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

TITLE = "\ue000title\ue001"


@dataclass(frozen=True)
class Document:
    """`blocks` are its text, cut. Joined they are the text."""

    blocks: tuple[str, ...]
    title: str = ""


@dataclass(frozen=True)
class PromptPlan:
    """`blocks` [n][tokens] in their order. `owners` [n]: each block's document, None where it is the template's. `final`: the asked part of
    the final block, up to where the assistant answers."""

    blocks: list[list[int]]
    owners: list[int | None]
    final: list[int]


class ChatPrompt:
    """Prompts of one tokenizer. `sink_ids` stand in front of every prompt and are removed from the template's own text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, sink_ids: Sequence[int]):
        if not tokenizer.chat_template:
            raise ValueError("this tokenizer has no chat template")
        self.tokenizer = tokenizer
        self.sink_ids = list(sink_ids)
        self.nonce = "bs" + secrets.token_hex(16)
        spellings = sorted((token for token in tokenizer.all_special_tokens if len(token) > 1), reverse=True)
        self.control = re.compile("|".join(map(re.escape, spellings))) if spellings else None
        native = re.search(r"\bdocuments\b", tokenizer.chat_template) is not None
        self.native = native and self._probe("", True) is not None
        self.frames = {bool(title): self._probe(title, self.native) or ("", "") for title in ("", "t")}

    def plan(self, messages: list[dict[str, str]], documents: Sequence[Document]) -> PromptPlan:
        stretches, order = self._split(self._render(messages, [document.title for document in documents], self.native))
        if sorted(order) != list(range(len(documents))):
            raise ValueError("the chat template leaves documents out of these messages")
        frames = [self.frames[bool(document.title)] for document in documents]
        bare = self._without_frames(stretches, order, frames)
        if bare is None:
            frames, bare = [("", "")] * len(documents), stretches
        titles = [document.title for document in documents]
        blocks: list[list[int]] = []
        owners: list[int | None] = []
        for at, stretch in enumerate(bare[:-1]):
            ids = self._encode(self._with_titles(stretch, titles))
            ids = self._without_sinks(ids) if at == 0 else ids
            blocks += [ids] if ids else []
            owners += [None] if ids else []
            made = self._document(documents[order[at]], frames[order[at]])
            blocks += made
            owners += [order[at]] * len(made)
        final = self._encode(self._with_titles(bare[-1], titles))
        return PromptPlan(blocks, owners, self._without_sinks(final) if not documents else final)

    def _document(self, document: Document, frame: tuple[str, str]) -> list[list[int]]:
        last = len(document.blocks) - 1
        blocks = []
        for at, text in enumerate(document.blocks):
            before = self._with_title(frame[0], document.title) if at == 0 else [""]
            pieces = self._joined(before, self._disarm(text), [frame[1] if at == last else ""])
            ids = self._encode(pieces)
            blocks += [ids] if ids else []
        return blocks

    def _encode(self, pieces: list[str]) -> list[int]:
        return [token for piece in pieces for token in self.tokenizer.encode(piece, add_special_tokens=False)]

    def _disarm(self, text: str) -> list[str]:
        """The text in pieces that spell no control token: each token is cut behind its first character."""
        if self.control is None:
            return [text]
        cuts = [0, *(match.start() + 1 for match in self.control.finditer(text)), len(text)]
        return [text[start:end] for start, end in zip(cuts, cuts[1:], strict=False)]

    @staticmethod
    def _joined(*parts: list[str]) -> list[str]:
        """Joins the ends of neighbouring parts. Cuts inside the parts stay."""
        pieces = [""]
        for part in parts:
            pieces[-1] += part[0]
            pieces += part[1:]
        return pieces

    def _with_title(self, text: str, title: str) -> list[str]:
        around = text.split(TITLE)
        parts = [[around[0]]]
        for rest in around[1:]:
            parts += [self._disarm(title), [rest]]
        return self._joined(*parts)

    def _with_titles(self, stretch: str, titles: Sequence[str]) -> list[str]:
        parts = re.split(rf"{self.nonce}t(\d+)x", stretch)
        shown = [[part] if at % 2 == 0 else self._disarm(titles[int(part)]) for at, part in enumerate(parts)]
        cut = rf"{self.nonce}cx"
        return [piece for joined in self._joined(*shown) for piece in joined.split(cut)]

    def _render(self, messages: list[dict[str, str]], titles: Sequence[str], native: bool) -> str:
        texts = [f"{self.nonce}d{index}x" for index in range(len(titles))]
        shown = [f"{self.nonce}t{index}x" if title else "" for index, title in enumerate(titles)]
        first = next((at for at, message in enumerate(messages) if message["role"] == "user"), len(messages) - 1)
        placed = "" if native else "".join(f"{f'Title: {title}{chr(10)}' if title else ''}{text}\n\n" for title, text in zip(shown, texts, strict=True))
        cut = f"{self.nonce}cx"
        disarmed = [
            {**message, "content": (placed if at == first else "") + cut.join(self._disarm(message["content"]))}
            for at, message in enumerate(messages)
        ]
        given = [{**({"title": title} if title else {}), "text": text} for title, text in zip(shown, texts, strict=True)]
        extra = {"documents": given} if native and given else {}
        return self.tokenizer.apply_chat_template(disarmed, tokenize=False, add_generation_prompt=True, **extra)

    def _split(self, rendered: str) -> tuple[list[str], list[int]]:
        parts = re.split(rf"{self.nonce}d(\d+)x", rendered)
        return parts[::2], [int(index) for index in parts[1::2]]

    def _probe(self, title: str, native: bool) -> tuple[str, str] | None:
        """The frame that each of three documents has around it. None where the template does not show three in order."""
        try:
            stretches, order = self._split(self._render([{"role": "user", "content": "Q"}], [title] * 3, native))
        except Exception:  # a template may refuse anything; then it does not know documents
            return None
        if order != [0, 1, 2]:
            return None
        return _learn_frame([re.sub(rf"{self.nonce}t\d+x", TITLE, stretch) for stretch in stretches])

    def _without_frames(self, stretches: list[str], order: list[int], frames: list[tuple[str, str]]) -> list[str] | None:
        bare = list(stretches)
        for at, index in enumerate(order):
            prefix, suffix = frames[index][0].replace(TITLE, f"{self.nonce}t{index}x"), frames[index][1]
            if not bare[at].endswith(prefix) or not bare[at + 1].startswith(suffix):
                return None
            bare[at] = bare[at][: len(bare[at]) - len(prefix)]
            bare[at + 1] = bare[at + 1][len(suffix) :]
        return bare

    def _without_sinks(self, ids: list[int]) -> list[int]:
        """Removes the sinks that the template's own text begins with: all of them, or the first few."""
        same = 0
        while same < min(len(ids), len(self.sink_ids)) and ids[same] == self.sink_ids[same]:
            same += 1
        return ids[same:]


def _learn_frame(stretches: list[str]) -> tuple[str, str]:
    """Like src/prompt/document-frame.ts: the longest prefix and suffix, on line borders, that each document has."""
    head, gap, second, rest = stretches
    if gap != second:
        return "", ""

    def starts_line(text: str, at: int) -> bool:
        return at == 0 or text[at - 1] in "\n>"

    length = 0
    while length < min(len(head), len(gap)) and head[-1 - length] == gap[-1 - length]:
        length += 1
    while length > 0 and not (starts_line(head, len(head) - length) and starts_line(gap, len(gap) - length)):
        length -= 1
    prefix = gap[len(gap) - length :]
    left = gap[: len(gap) - length]
    length = 0
    while length < len(left) and left[length : length + 1] == rest[length : length + 1]:
        length += 1
    while 0 < length < len(left) and left[length - 1] != "\n":
        length -= 1
    return prefix, left[:length]
