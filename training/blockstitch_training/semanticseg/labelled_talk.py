"""Talk whose topics people have labelled: the halves of QMSum's meetings and of TIAGE's chats that may be trained on.

Rows with an even number are for training, the odd ones are kept out. There are few of them, so each is used many times: whole, in runs
of its topics, beside topics of others, with other names and other punctuation. What a boundary is stays as people said.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .document import DOCUMENT, SECTION, Instance, seeded
from .speech import draw_speakers
from .talk_look import TalkLook, draw_look

_LABEL = re.compile(r"^([A-Z][\w .'’-]{0,38}?)\s?:\s+(.*)$")
_MARK = re.compile(r"\s*\{[a-z]+\}")


@dataclass(frozen=True)
class TalkSource:
    """strength: of the boundaries inside a row. most: topics of one instance. share: of instances that are a whole row."""

    name: str
    category: str
    license: str
    provenance: str
    strength: int
    most: int
    whole: float


QMSUM = TalkSource("qmsum", "meetings", "MIT", "Yale-LILY/QMSum, human topic spans", DOCUMENT, 9, 0.4)
TIAGE = TalkSource("tiage", "conversations", "see its LICENSE", "HuiyuanXie/tiage, human topic shifts", SECTION, 30, 0.3)


def even_rows(path: Path) -> list[list[str]]:
    """Segments of the rows that may be trained on."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line)["segments"] for number, line in enumerate(lines) if number % 2 == 0]


def labelled_instances(source: TalkSource, rows: Sequence[Sequence[str]], count: int, seed: int) -> Iterator[Instance]:
    for number in range(count):
        rng = seeded(seed, source.name, number)
        segments = _topics(rng, source, rows)
        segments = _relooked(rng, segments)
        yield Instance(
            f"train-{source.name}-{number:05d}", source.category, source.name, source.license, source.provenance, "train", segments,
            [source.strength] * (len(segments) - 1),
        )  # fmt: skip


def _topics(rng: random.Random, source: TalkSource, rows: Sequence[Sequence[str]]) -> list[str]:
    first = rng.choice(rows)
    if rng.random() < source.whole and len(first) > 1:
        return list(first)
    out: list[str] = []
    wanted = rng.randint(2, source.most)
    while len(out) < wanted:
        row = rng.choice(rows)
        start = rng.randrange(len(row))
        out += row[start : start + rng.randint(1, max(1, wanted - len(out)))]
    return out


def _relooked(rng: random.Random, segments: Sequence[str]) -> list[str]:
    """Half of the time as they are. Otherwise with other names, without a transcriber's marks, and in another convention."""
    if rng.random() < 0.4:
        return list(segments)
    speakers = list(dict.fromkeys(found[1] for text in segments for line in text.split("\n") if (found := _LABEL.match(line))))
    renamed = dict(zip(speakers, _names(rng, len(speakers)), strict=True)) if rng.random() < 0.6 else {}
    unmarked = rng.random() < 0.5
    look = draw_look(rng, max(2, len(speakers)), bare=1.0)
    pair = draw_look(rng, 2, bare=0.6) if not speakers else TalkLook()
    out = []
    turn = 0
    for text in segments:
        lines = []
        for line in text.split("\n"):
            found = _LABEL.match(line)
            name, said = (found[1], found[2]) if found else ("", line)
            if unmarked:
                said = _MARK.sub("", said).strip() or said
            said = look.line("", said)
            if not found and pair.names:
                lines.append(pair.form.format(name=pair.names[turn % 2], text=said))
            else:
                lines.append(f"{renamed.get(name, name)}: {said}" if found else said)
            turn += 1
        out.append("\n".join(lines))
    return out


def _names(rng: random.Random, count: int) -> list[str]:
    names = draw_speakers(rng, min(count, 30))
    return [*names, *(f"Speaker {number}" for number in range(count - len(names)))]
