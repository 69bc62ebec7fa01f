"""Invents small talk between strangers. The talk drifts over the topics of talk_topics.py every few turns, and each is labelled by construction."""

from __future__ import annotations

import random
import re

from .adapters.conversation import Topic, Turn
from .document import CHAPTER, SECTION
from .talk_topics import BRIDGES, CATCH_ALLS, FAREWELLS, GREETING_REPLIES, GREETINGS, REACTIONS, TOPICS, TalkTopic


def small_talk(rng: random.Random, topics: int, mean_turns: float) -> list[Topic]:
    """One session of two people. The first topic may hold the greetings. A topic has 1 to 12 turns.

    A new topic begins with a question or a statement. A third of the time the speaker first reacts to what was said.
    """
    out: list[Topic] = []
    speaker = 0
    last: TalkTopic | None = None
    for number in range(topics):
        topic = rng.choice([each for each in TOPICS if each is not last])
        count = max(1, min(12, round(rng.expovariate(1 / mean_turns)) + (rng.random() < 0.7)))
        lines: list[str] = []
        if number == 0 and rng.random() < 0.85:
            lines.append(rng.choice(GREETINGS))
            if rng.random() < 0.7:
                lines.append(rng.choice(GREETING_REPLIES))
            if rng.random() < 0.35:
                # Now and then the greetings are a topic of their own.
                out.append(_labelled(lines, "greeting", speaker, CHAPTER))
                speaker = (speaker + len(lines)) % 2
                lines = []
        said = _stretch(rng, topic, count)
        if out and rng.random() < 0.35:
            said[0] = f"{rng.choice(BRIDGES)} {said[0]}"
        lines += said
        out.append(_labelled(lines, topic.things[0], speaker, SECTION if out else CHAPTER))
        speaker = (speaker + len(lines)) % 2
        last = topic
    if rng.random() < 0.3:
        out[-1] = Topic(out[-1].label, (*out[-1].turns, Turn(str(speaker), rng.choice(FAREWELLS))), out[-1].strength)
    return out


def _labelled(lines: list[str], label: str, speaker: int, strength: int) -> Topic:
    return Topic(label, tuple(Turn(str((speaker + index) % 2), line) for index, line in enumerate(lines)), strength)


def _stretch(rng: random.Random, topic: TalkTopic, count: int) -> list[str]:
    thing, other = rng.sample(topic.things, 2)
    asks, tells, replies = (rng.sample(each, len(each)) for each in (topic.ask, topic.tell, topic.reply))
    lines: list[str] = []
    asked = False
    for index in range(count):
        if index == 0:
            asked = rng.random() < 0.55
            line = asks.pop() if asked else tells.pop()
            if rng.random() < 0.25 and tells and asks:
                line = f"{tells.pop()}. {asks.pop()}" if not asked else f"{line} {tells.pop()}"
        elif asked and tells:
            line = tells.pop()
            asked = False
            if rng.random() < 0.35:
                line += f". {rng.choice(CATCH_ALLS)}"
                asked = True
        elif rng.random() < 0.3 or not replies:
            line = rng.choice(REACTIONS)
            if replies and rng.random() < 0.5:
                line += f". {replies.pop()}"
        elif asks and rng.random() < 0.2:
            line = f"{rng.choice(REACTIONS)}. {asks.pop()}" if rng.random() < 0.5 else asks.pop()
            asked = True
        else:
            line = replies.pop()
            if rng.random() < 0.3:
                line = f"{rng.choice(REACTIONS)}, {line}"
            elif tells and rng.random() < 0.25:
                line += f". {tells.pop()}"
        lines.append(line.replace("{x}", thing).replace("{y}", other))
        if rng.random() < 0.2:
            thing, other = other, rng.choice(topic.things)
    return [_punctuated(rng, line) for line in lines]


def _punctuated(rng: random.Random, line: str) -> str:
    line = re.sub(r"\?\.", "?", line)
    if line[-1].isalnum():
        line += rng.choices((".", "!", "", " lol"), (0.55, 0.15, 0.27, 0.03))[0]
    return line
