"""Task dialogues of SGD (Schema-Guided Dialogue) as instances: a person asks a system for one thing after another.

A boundary has strength 1 where the intent changes, 2 where the service changes, and 3 where another dialogue begins. Dialogues of one
service, joined, are the manner of DialSeg711; the kept-out ones have only the boundaries between dialogues. The file is
`sgd.train.jsonl`: {"id", "turns": [[U or S, text, service, intent]]}.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .document import CHAPTER, FINEST, SECTION, Instance, seeded
from .talk_look import TalkLook, draw_look

SOURCE = "sgd"
LICENSE = "CC-BY-SA-4.0"
PROVENANCE = "google-research-datasets/dstc8-schema-guided-dialogue, train"
TEST_SHARE, DEV_SHARE = 0.2, 0.03
_CLOSING = re.compile(r"\b(?:thank|thanks|bye|goodbye|great day|nice day|wonderful|that's all|that is all|that will be all|anything else|no more help)\b", re.I)


@dataclass(frozen=True)
class Turn:
    """level: strength of the boundary before the turn, 0 for none."""

    speaker: str
    text: str
    level: int


@dataclass(frozen=True)
class TaskDialogue:
    id: str
    services: tuple[str, ...]
    turns: tuple[Turn, ...]


def read_dialogues(path: Path) -> list[TaskDialogue]:
    """@raises ValueError naming the line of a row that is not a dialogue"""
    out = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            row = json.loads(line)
            if not row.get("turns") or any(len(turn) != 4 for turn in row["turns"]):
                raise ValueError(f"{path}:{number}: a row needs turns of [speaker, text, service, intent]")
            out.append(_dialogue(row["id"], row["turns"]))
    return out


def _dialogue(name: str, rows: Sequence[Sequence[str]]) -> TaskDialogue:
    turns: list[Turn] = []
    for index, (speaker, text, service, intent) in enumerate(rows):
        before = rows[index - 1] if index else None
        level = 0 if before is None else SECTION if service != before[2] else FINEST if intent != before[3] else 0
        turns.append(Turn(speaker, " ".join(text.split()), level))
    return TaskDialogue(name, tuple(dict.fromkeys(row[2] for row in rows)), tuple(turns))


def split_of_dialogue(name: str) -> str:
    """The split of a dialogue, by its id alone."""
    at = seeded("sgd", name).random()
    return "test" if at < TEST_SHARE else "dev" if at < TEST_SHARE + DEV_SHARE else "train"


def task_instances(dialogues: Sequence[TaskDialogue], split: str, count: int, seed: int) -> Iterator[Instance]:
    """Instances of one split. Those of the kept-out split (test) join dialogues of one service, without speakers' names. In the even ones
    every dialogue is whole. In the odd ones it is short, as those of DialSeg711 are: a stretch of 3 to 9 turns, without thanks and farewell.
    """
    mine = [each for each in dialogues if split_of_dialogue(each.id) == split]
    single = [each for each in mine if len(each.services) == 1]
    for number in range(count):
        rng = seeded(seed, SOURCE, split, number)
        kept_out = split == "test"
        pool = single if kept_out or rng.random() < 0.6 else mine
        drawn = _draw(rng, pool, rng.randint(2, 8) if kept_out else min(14, 2 + round(rng.expovariate(1 / 3.5))))
        look = TalkLook() if kept_out else draw_look(rng, 2)
        yield _joined(rng, drawn, look, number, split, (number % 2 == 0) if kept_out else None)


def _draw(rng: random.Random, pool: Sequence[TaskDialogue], count: int) -> list[TaskDialogue]:
    """Neighbours are mostly of different services."""
    out: list[TaskDialogue] = []
    while len(out) < count:
        found = rng.choice(pool)
        kinds = {service.split("_")[0] for service in found.services}
        if out and kinds & {service.split("_")[0] for service in out[-1].services} and rng.random() < 0.85:
            continue
        out.append(found)
    return out


def _joined(rng: random.Random, drawn: Sequence[TaskDialogue], look: TalkLook, number: int, split: str, whole: bool | None) -> Instance:
    """whole: of all dialogues; None where the instance has a habit of its own."""
    segments: list[str] = []
    levels: list[int] = []
    # One habit a document: where dialogues are cut short, it is a habit of the corpus.
    habits = (rng.choice((0.0, 0.5, 1.0)), rng.choice((0.0, 0.0, 0.3)), rng.choice((0.0, 0.3, 0.7, 1.0)))
    without_end, without_start, parts = habits if whole is None else (0.0, 0.0, 0.0) if whole else (1.0, 0.0, 1.0)
    for dialogue in drawn:
        turns = list(dialogue.turns)
        if rng.random() < without_end:
            while len(turns) > 3 and _CLOSING.search(turns[-1].text):
                turns.pop()
        if rng.random() < without_start and len(turns) > 6:
            turns = turns[2 * rng.randint(0, 1) + rng.randint(0, 1) :]
        if rng.random() < parts and len(turns) > 6:
            # Most stretches begin where the person asks.
            start = rng.randrange(len(turns) - 4) if rng.random() < 0.6 else 0
            start -= start % 2 if rng.random() < 0.7 else 0
            turns = turns[start : start + rng.randint(3, 9)]
        lines = look.lines(rng, [(turn.speaker, turn.text) for turn in turns])
        for index, (turn, line) in enumerate(zip(turns, lines, strict=True)):
            if index == 0:
                if segments:
                    levels.append(CHAPTER)
                segments.append(line)
            elif turn.level and whole is None:
                levels.append(turn.level)
                segments.append(line)
            else:
                segments[-1] += f"\n{line}"
    ids = " | ".join(f"{SOURCE}/{each.id}" for each in drawn)
    return Instance(f"{split}-{SOURCE}-{number:05d}", "conversations", SOURCE, LICENSE, ids, split, segments, levels)
