"""Conversations: the project's own JSONL (topic-labelled turns), chat logs and transcripts. A topic is a run of turns.

JSONL row: `{"id"?, "topics": [{"label"?, "strength"?, "turns": [{"speaker", "text"}]}]}`.
Text log: each line is `Name: text`, `[time] Name: text` or `[time] <name> text`. A line `=== label` begins a topic.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Turn:
    speaker: str
    text: str


@dataclass(frozen=True)
class Topic:
    """strength: of the boundary before it."""

    label: str
    turns: tuple[Turn, ...]
    strength: int = 2


_LINE = re.compile(r"^(?:\[?[\d:. /T-]{4,24}(?:[AP]M)?\]?\s*(?:-\s*)?)?(?:<\s*@?([^>]{1,40})>|([^:\n]{1,40}):)\s*(.*)$")


def read_log(text: str) -> list[Topic]:
    """A chat log or transcript. Lines without a speaker belong to the turn before."""
    topics: list[Topic] = []
    label, turns = "", []
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.startswith("==="):
            if turns:
                topics.append(Topic(label, tuple(turns)))
            label, turns = line.strip("= "), []
            continue
        match = _LINE.match(line)
        if match:
            turns.append(Turn((match.group(1) or match.group(2)).strip(), match.group(3).strip()))
        elif line.strip():
            if turns:
                turns[-1] = Turn(turns[-1].speaker, f"{turns[-1].text} {line.strip()}".strip())
            else:
                turns.append(Turn("", line.strip()))
    if turns:
        topics.append(Topic(label, tuple(turns)))
    return topics


def read_jsonl(text: str) -> Iterator[tuple[str, list[Topic]]]:
    """@raises ValueError naming the line that is not a conversation"""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            topics = [
                Topic(
                    str(topic.get("label", "")),
                    tuple(Turn(str(turn["speaker"]), str(turn["text"])) for turn in topic["turns"]),
                    int(topic.get("strength", 2)),
                )
                for topic in row["topics"]
            ]
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"line {number} is not a conversation with topics and turns: {error}") from error
        yield str(row.get("id", number)), topics


def read_message_threads(text: str) -> Iterator[tuple[str, list[Turn]]]:
    """A JSON object of `{id: {"messages": [[{"text", "sender"}]]}}`: runs of messages by one sender, as the chitchat-dataset package has them."""
    for key, value in json.loads(text).items():
        turns: list[Turn] = []
        for run in value["messages"]:
            for message in run:
                said = " ".join(str(message.get("text", "")).split())
                if said:
                    turns.append(Turn(str(message.get("sender", "")), said))
        if turns:
            yield key, turns
