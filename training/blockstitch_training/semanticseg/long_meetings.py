"""Composes meetings of a few long topics, which train the segmenter on coarse boundaries.

A meeting has two to eight agenda items of thousands of characters. Each is over one source document (or one run of its pieces). Most
often all are of one field, so that words alone tell little. meetings.py knows how people talk. Here an item also has a manner of its own:
somebody presents, or all discuss. Most of the material is said in fewer and plainer words. The talk strays to other items now and then. A
meeting may open with small talk and an agenda that names every topic, and close with a round of tasks. The boundary between items has
strength 4; boundaries of the material within an item have 1 or 2.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

from .adapters.conversation import Turn
from .document import DOCUMENT, FINEST, SECTION, Piece, SourceDocument, seeded
from .meetings import (
    _ASIDES,
    _FAREWELLS,
    _GREETINGS,
    _REMARKS,
    MATERIAL,
    MATERIAL_WEIGHTS,
    Part,
    Style,
    _closed,
    _discussion,
    _draw_style,
    _material,
    _opened,
    _piece,
    _reads_aloud,
    _said,
)
from .pool import Pool
from .speech import BACKCHANNELS, Convention, draw_convention, draw_speakers, key_phrase, topic_words

#: Characters of spoken text of an item: median and spread of a lognormal, then the least and the most.
ITEM = (7_500.0, 0.75, 1_800.0, 36_000.0)
MOST_CHARACTERS = 110_000
LEAST_RUN = 2_500
LEAST_SAID = 1_000
_AGENDA = (
    "So first we have {key}.", "Then there is {key}.", "After that, {key}.", "And we wanted to talk about {key}.", "We also have {key} on the list.",
    "And then {key}, if there is time.", "The other thing for today is {key}.", "{key} is also on the agenda.",
)  # fmt: skip
_TASKS = (
    "So {name}, you look into {key}.", "I'll send something round about {key}.", "{name} is going to do {key}.", "For next time, {key}.",
    "We agreed on {key}, I think.", "So we come back to {key} next week.", "Then {name} and I work on {key}.", "And {key} we leave as it is.",
)  # fmt: skip
_STRAYS = (
    "That's a bit like {key}.", "It's the same problem as with {key}.", "Which brings us back to {key}.", "We'll get to {key}.", "But that depends on {key}.",
    "I thought that was part of {key}.", "Let's not start on {key} now.",
)  # fmt: skip
# Sentences about two things at hand. They say as little as talk does.
_PLAIN = (
    "I think the {a} is like {b}, right?", "So you have the {a} and then {b}.", "And that's the {a}.", "We could use {b} for the {a}, I guess.", "What about the {a}?",
    "Because if it's {a}, then you have to do {b}.", "Yeah, but the {a} has to be {b}.", "I was thinking that {a} would be more {b}.", "So is it {a} or {b}?",
    "It's just that they want {a}.", "And I don't know if that's {a} or what.", "You know, if you look at {a}, it's {b}.", "That would be {a}, and not {b}.",
    "So I would go for the {a}.", "They said something about {a}, but I don't know how that goes with {b}.", "And then the {a} goes there, and that's it.",
    "But you can't have {a} without {b}.", "I like the {a}.", "Do people really want {a}?", "There was this thing with {a}, where we had {b}.", "We have to think about {a} too.",
    "It could be {a}, it could be {b}, I mean, we don't know.", "What we did is we took the {a} and put {b} on it.", "So the idea was to have {a}.", "No, the {a} is fine.",
    "I mean, it's the same {a} that we had before.", "Is there any {b} in that?", "And this one here is the {a}.", "If they do {a}, we have a problem with {b}.",
)  # fmt: skip


def long_meeting_rows(pool: Pool, count: int, seed: int) -> Iterator[dict]:
    """Up to `count` rows {segments, levels}, from the pool's split and the seed alone."""
    for number in range(count):
        pieces, _ = compose_long_meeting(seeded(seed, pool.split, "long-meetings", number), pool)
        if len(pieces) > 1:
            yield {"segments": [each.text for each in pieces], "levels": [each.strength for each in pieces[1:]]}


def compose_long_meeting(rng: random.Random, pool: Pool) -> tuple[list[Piece], list[SourceDocument]]:
    """@returns pieces of ready lines `Name: text`, and the documents they came from. There are fewer than two pieces where the pool has no material"""
    style, convention = _draw_style(rng), draw_convention(rng)
    style = dataclasses.replace(style, opening=style.opening * rng.uniform(0.4, 1.0))
    speakers = draw_speakers(rng, rng.randint(3, 6))
    plain = rng.uniform(0.2, 0.95) if rng.random() < 0.75 else 0.0
    items = _items(rng, pool, rng.randint(2, 8))
    keys = [_key(rng, parts) for _, parts in items]
    pieces: list[Piece] = []
    size = 0
    lead = ""
    for number, (_, parts) in enumerate(items):
        lead = rng.choice([each for each in speakers if each != lead] if rng.random() < 0.8 else speakers)
        manner = _manner(rng, style)
        before: list[Turn] = []
        if number == 0:
            before = _begun(rng, pool, speakers, keys)
            if before and rng.random() < 0.6:
                pieces.append(_piece(rng, before, convention, DOCUMENT))
                before = []
        parts = [(title, [_plainly(rng, each) if rng.random() < plain else each for each in said], own) for title, said, own in parts]
        pieces += _item(rng, parts, (lead, speakers), manner, convention, before, [key for at, key in enumerate(keys) if at != number])
        size += sum(len(each) for _, said, _ in parts for each in said)
        if size > MOST_CHARACTERS:
            break
    if pieces and rng.random() < 0.5:
        last = _ended(rng, speakers, keys)
        if rng.random() < 0.6:
            pieces.append(_piece(rng, last, convention, DOCUMENT))
        else:
            pieces[-1] = Piece(f"{pieces[-1].text}\n{_piece(rng, last, convention, DOCUMENT).text}", pieces[-1].strength)
    return pieces, [document for document, _ in items]


def _items(rng: random.Random, pool: Pool, count: int) -> list[tuple[SourceDocument, list[Part]]]:
    draw = _field(rng, pool) if rng.random() < 0.75 else None
    items: list[tuple[SourceDocument, list[Part]]] = []
    for _ in range(4 * count):
        if len(items) == count:
            break
        document = draw.pop() if draw else _long(rng, pool, rng.choices(MATERIAL, MATERIAL_WEIGHTS)[0])
        median, spread, least, most = ITEM
        wanted = min(most, max(least, median * rng.lognormvariate(0, spread)))
        parts = _material(rng, document, wanted)
        if parts and _reads_aloud(document, parts) and sum(len(each) for _, said, _ in parts for each in said) > LEAST_SAID:
            items.append((document, parts))
    return items


def _long(rng: random.Random, pool: Pool, category: str) -> SourceDocument:
    return max((pool.draw(rng, category) for _ in range(3)), key=lambda each: each.characters)


def _field(rng: random.Random, pool: Pool) -> list[SourceDocument]:
    """Documents of one field, in any order: long documents of one group, or runs of pieces of one document."""
    document = _long(rng, pool, rng.choices(MATERIAL, MATERIAL_WEIGHTS)[0])
    siblings = [each for each in pool.by_group[document.group] if each.characters > LEAST_RUN]
    if len(siblings) > 2:
        return rng.sample(siblings, min(len(siblings), 12))
    if document.kind != "prose":
        return []
    runs: list[list[Piece]] = []
    size = LEAST_RUN * rng.uniform(1, 4)
    for piece in document.pieces:
        if not runs or (piece.strength >= SECTION and sum(len(each.text) for each in runs[-1]) > size):
            runs.append([])
        runs[-1].append(piece)
    cut = [dataclasses.replace(document, pieces=tuple(run)) for run in runs]
    return rng.sample(cut, min(len(cut), 12)) if len(cut) > 1 else []


def _manner(rng: random.Random, style: Style) -> Style:
    """The manner of one item: its lead presents it in long turns, or all discuss it in short ones."""
    presented = rng.random() < 0.4
    return dataclasses.replace(
        style,
        leading=rng.uniform(0.75, 0.97) if presented else rng.uniform(0.2, 0.7),
        longest_turn=max(style.longest_turn, rng.randint(3, 9)) if presented else min(style.longest_turn, rng.randint(1, 5)),
        chatter=style.chatter * rng.uniform(0.2, 0.8) if presented else style.chatter * rng.uniform(0.8, 1.4),
        remarks=style.remarks * (0.4 if presented else rng.uniform(0.8, 1.8)),
    )


def _item(
    rng: random.Random, parts: list[Part], people: tuple[str, list[str]], style: Style, convention: Convention, before: list[Turn], others: list[str]
) -> list[Piece]:
    lead, speakers = people
    pieces: list[Piece] = []
    for index, (title, said, own) in enumerate(parts):
        turns = _strayed(rng, _discussion(rng, said, own, lead, speakers, style), speakers, others)
        if not turns:
            continue
        if index == 0:
            turns = before + _opened(rng, turns, title, said, speakers[0], lead, style, first=False)
        if index == len(parts) - 1 and rng.random() < style.closing:
            turns += _closed(rng, said, speakers[0], lead, speakers)
        strength = DOCUMENT if not pieces else SECTION if len(parts) < 4 else FINEST
        pieces.append(_piece(rng, turns, convention, strength))
    return pieces


def _strayed(rng: random.Random, turns: list[Turn], speakers: list[str], others: list[str]) -> list[Turn]:
    """Adds, now and then, a turn that names another item, or a run of turns that say nothing of any item."""
    out: list[Turn] = []
    for turn in turns:
        out.append(turn)
        draw = rng.random()
        if others and draw < 0.01:
            out.append(Turn(rng.choice(speakers), rng.choice(_STRAYS).format(key=rng.choice(others))))
        elif draw < 0.025:
            for _ in range(rng.randint(2, 8)):
                said = rng.choice(_REMARKS) if rng.random() < 0.6 else f"{rng.choice(BACKCHANNELS)}."
                out.append(Turn(rng.choice(speakers), said))
        elif draw < 0.03:
            out.append(Turn(rng.choice(speakers), rng.choice(_ASIDES).format(key="that")))
    return out


def _plainly(rng: random.Random, sentence: str) -> str:
    first = key_phrase(rng, sentence)
    return rng.choice(_PLAIN).format(a=first, b=key_phrase(rng, sentence) or "that") if first else sentence


def _key(rng: random.Random, parts: list[Part]) -> str:
    said = [sentence for _, sentences, _ in parts for sentence in sentences]
    return key_phrase(rng, rng.choice(said[:6]) if said else "", topic_words(" ".join(said[:60]))) or "the rest"


def _begun(rng: random.Random, pool: Pool, speakers: list[str], keys: list[str]) -> list[Turn]:
    chair = speakers[0]
    turns = [Turn(chair, each) for each in rng.sample(_GREETINGS, rng.randint(1, 3))]
    if rng.random() < 0.5:
        chat = _said(pool.draw(rng, "conversations"))
        turns += [Turn(rng.choice(speakers), each) for each in chat[: rng.randint(4, 50)]]
    if rng.random() < 0.5:
        for key in keys if rng.random() < 0.7 else rng.sample(keys, len(keys)):
            turns.append(Turn(chair, rng.choice(_AGENDA).format(key=key)))
            if rng.random() < 0.3:
                turns.append(Turn(rng.choice(speakers), f"{rng.choice(BACKCHANNELS)}."))
    return turns


def _ended(rng: random.Random, speakers: list[str], keys: list[str]) -> list[Turn]:
    turns: list[Turn] = []
    for _ in range(rng.randint(1, 8)):
        turns.append(Turn(speakers[0] if rng.random() < 0.7 else rng.choice(speakers), rng.choice(_TASKS).format(key=rng.choice(keys), name=rng.choice(speakers))))
        for _ in range(rng.randint(0, 3)):
            turns.append(Turn(rng.choice(speakers), rng.choice(_REMARKS) if rng.random() < 0.5 else f"{rng.choice(BACKCHANNELS)}."))
    return turns + [Turn(rng.choice(speakers), each) for each in rng.sample(_FAREWELLS, rng.randint(1, 3))]
