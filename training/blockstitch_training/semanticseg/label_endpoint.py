"""Labels plain documents by a language model behind any OpenAI-compatible endpoint. Numbered units go out, and the numbers that begin a
topic come back.

Documents longer than a window are read in overlapping windows. The labels of a window's first units come from the window before. A run
can be resumed: documents already in the output are left alone. Nothing here trains or judges, and the labels are the model's.
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .document import Instance

_LONG_LINE = 240
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])[\"')\]”’]*\s+")
_PROMPT = (
    "The text below is divided into numbered units. Say where a new topic begins, as an attentive reader would divide it into parts that can be read "
    'on their own. Answer with JSON only: {"boundaries": [{"unit": number of the first unit of a new part, "level": 1 to 4}]}. Level 4 parts unrelated '
    "documents, 3 chapters or agenda items, 2 sections, 1 smaller turns of the topic. Do not list unit 1."
)


class LabellingFailed(RuntimeError):
    """The endpoint gave no usable answer for a document, with the reason."""


@dataclass(frozen=True)
class Endpoint:
    """url: base such as http://127.0.0.1:8080/v1. key: sent as a bearer token where given."""

    url: str
    model: str
    key: str = ""
    timeout_s: float = 120.0
    tries: int = 3
    wait_s: float = 1.0

    def ask(self, system: str, text: str) -> str:
        """The answer's text. Retries 429, 5xx and lost connections with growing pauses.

        @raises LabellingFailed after the last try, or at once for another refusal
        """
        body = {"model": self.model, "temperature": 0, "messages": [{"role": "system", "content": system}, {"role": "user", "content": text}]}
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self.key}"} if self.key else {})}
        request = urllib.request.Request(f"{self.url.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers)
        reason = ""
        for attempt in range(self.tries):
            if attempt:
                time.sleep(self.wait_s * 2 ** (attempt - 1))
            try:
                with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:
                    return str(json.load(answer)["choices"][0]["message"]["content"])
            except urllib.error.HTTPError as error:
                reason = f"status {error.code}"
                if error.code != 429 and error.code < 500:
                    break
            except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
                reason = str(error)
            except (KeyError, IndexError, TypeError, json.JSONDecodeError) as error:
                raise LabellingFailed(f"{self.url} answered something else than a chat completion: {error!r}") from error
        raise LabellingFailed(f"{self.url} did not answer: {reason}")


def split_units(text: str) -> list[str]:
    """Lines, and the sentences of long lines. Joined they are the text without the white space that follows a sentence."""
    units: list[str] = []
    for line in text.split("\n"):
        if len(line) <= _LONG_LINE:
            units.append(line)
        else:
            units.extend(each for each in _SENTENCE_END.split(line) if each)
    return units


def label_document(ask: Callable[[str, str], str], text: str, window: int = 200, overlap: int = 40) -> tuple[list[str], list[int]]:
    """Segments and levels as in an instance. window, overlap: in units.

    @raises LabellingFailed where an answer cannot be read
    """
    if not 0 <= overlap < window:
        raise ValueError(f"overlap {overlap} must be below window {window}")
    units = [each for each in split_units(text) if each.strip()]
    levels: dict[int, int] = {}
    start = 0
    while start < len(units):
        part = units[start : start + window]
        numbered = "\n".join(f"[{index}] {unit}" for index, unit in enumerate(part, 1))
        trusted = start + overlap // 2 if start else 0
        for unit, level in _read_answer(ask(_PROMPT, numbered), len(part)):
            at = start + unit - 1
            if at >= trusted:
                levels[at] = level
        if start + window >= len(units):
            break
        # The next window sees the edge of this one again, and decides about it.
        start += window - overlap
        levels = {at: level for at, level in levels.items() if at < start + overlap // 2}
    edges = [0, *sorted(levels), len(units)]
    segments = ["\n".join(units[left:right]) for left, right in zip(edges, edges[1:], strict=False)]
    return segments, [levels[at] for at in edges[1:-1]]


def _read_answer(answer: str, units: int) -> Iterator[tuple[int, int]]:
    """(unit, level) pairs. Fences around the JSON and numbers outside the window are forgiven, nothing else is."""
    match = re.search(r"\{.*\}", answer, re.S)
    try:
        rows = json.loads(match.group(0))["boundaries"] if match else None
        pairs = [(int(row["unit"]), min(4, max(1, int(row.get("level", 2))))) for row in rows]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LabellingFailed(f"not the JSON that was asked for: {answer[:200]!r}") from error
    yield from (pair for pair in pairs if 1 < pair[0] <= units)


def label_file(
    source: Path, out: Path, endpoint: Endpoint, category: str, license: str, progress: Callable[[int, str], None] = lambda *_: None
) -> dict[str, int]:
    """Labels a JSONL of {id, text} (other fields ignored) into rows in the builder's format, appended one by one.

    @returns {"labelled", "there", "failed"}. A document that fails is reported and left out, so that a later call tries it again
    """
    done = {json.loads(line)["id"] for line in out.read_text().split("\n") if line.strip()} if out.exists() else set()
    counts = {"labelled": 0, "there": 0, "failed": 0}
    with source.open() as lines, out.open("a") as rows:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            document = json.loads(line)
            key = str(document.get("id", number))
            if key in done:
                counts["there"] += 1
                continue
            try:
                segments, levels = label_document(endpoint.ask, document["text"])
            except LabellingFailed as error:
                counts["failed"] += 1
                progress(number, f"{key}: {error}")
                continue
            instance = Instance(key, category, str(source.name), license, f"labelled by {endpoint.model}", "train", segments, levels)
            rows.write(json.dumps(instance.row(), ensure_ascii=False) + "\n")
            rows.flush()
            counts["labelled"] += 1
            progress(number, key)
    return counts
