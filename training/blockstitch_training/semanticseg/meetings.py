"""Composes meetings and lectures: agenda items over real passages and threads, spoken by several people (or one).

Three things teach a topic shift here: the vocabulary of another passage over a wide context, who leads the item, and the words with
which people close one thing and open the next. Those words also occur inside items, and many items begin without any.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from .adapters.conversation import Turn
from .document import CHAPTER, FINEST, SECTION, Piece, SourceDocument
from .pool import Pool
from .source_documents import UNIT
from .speech import BACKCHANNELS, Convention, clauses, draw_convention, draw_speakers, key_phrase, sentences, spoken, topic_words, write

MATERIAL = ("books", "email", "manuals", "papers", "web", "encyclopedia", "specifications", "legal", "news", "qa", "lectures", "conversations")
MATERIAL_WEIGHTS = (6, 9, 2, 4, 3, 2, 1, 3, 5, 3, 7, 4)

_OPEN_BY_CHAIR = (
    "OK, so next up is {title}.", "Alright, let's move on to {key}.", "So the next thing is {key}.", "Okay. Um, the other thing was {title}.",
    "Moving on. {name}, do you want to tell us about {key}?", "So, {name}, what about {key}?", "Right, so {title}. Who wants to start?",
    "Let's talk about {key} then.", "OK, anything on {key}?", "Now, about {key}.", "The second item is {title}.", "Let's go on to {key}, {name}.",
    "So what else do we have? {key}, I think.", "Thank you. We now go to {name}.", "We'll now turn to {title}. {name}, please.", "{name}, you have the floor.",
    "I'd like to go back to {key} for a moment.", "So, um, how are we doing with {key}?", "Okay, so, what's next on the agenda?", "Alright. {name}, your turn.",
)  # fmt: skip
_OPEN_BY_SELF = (
    "So, I have been looking at {key}.", "Um, I wanted to bring up {key}.", "Can I ask about {key}?", "OK so my part is {title}.", "So, {key}.",
    "Well, about {key}, I had a question.", "Thank you, Chair. My question is about {key}.", "One more thing, {key}.", "By the way, has anybody looked at {key}?",
    "I want to turn to {key} now.", "Uh, so the first thing I did was {key}.", "Let me start with {key}.", "Thank you. I'd like to talk about {title}.",
)  # fmt: skip
_CLOSE = (
    "OK. Anything else on that?", "Good, so we leave it at that.", "Okay, let's take that offline.", "Alright, thank you.", "OK, thanks {name}.", "Any other comments?",
    "So that is settled.", "Okay. Great.", "Let's come back to that next week.", "Thank you very much, {name}.", "No? OK.", "Right. Good.", "That's all from me.",
    "I think that's it on {key}.", "So, action for {name}.", "Good. OK.", "We can decide that later.",
)  # fmt: skip
_ASIDES = (
    "So what does that mean for {key}?", "What do you mean by {key}?", "But {key}, is that not the same thing?", "Okay, so {key}.", "Sorry, {key}?", "And why {key}?",
    "I think {key} is the main point.", "Do we need {key} at all?", "I'm not sure about {key}.", "Right, {key}, that's what I meant.", "So, so you say {key}?",
    "Could you say more about {key}?", "I agree about {key}.", "Well, {key} could be a problem.", "Yeah, {key}, I've seen that.", "How do you know that, about {key}?",
    "So the idea is {key}?", "Hmm, and then {key}?",
)  # fmt: skip
# Remarks about anything: the talk goes on, the topic stays.
_REMARKS = (
    "I don't know.", "What?", "I think so.", "That's a good point.", "We could do that.", "I'm not sure.", "It depends.", "That's true.", "Well, maybe.", "I guess.",
    "So what would that mean?", "How does that work?", "Can you say that again?", "Sorry, go ahead.", "No no, I agree.", "Yeah, but why?", "Let me think.", "I see what you mean.",
    "That was my question too.", "It's hard to say.", "We tried that before.", "That sounds reasonable.", "How long would it take?", "Who would do that?", "I was about to say that.",
    "That's what I thought.", "Is that right?", "But it could also be the other way round.", "Exactly, that's the thing.", "I would like to see that.", "You mean now?",
    "There is a trade-off.", "I don't think so.", "What's the difference?", "It doesn't matter much.", "I have no strong opinion.", "So you're saying yes?", "Could be.",
    "I have to look that up.", "That's interesting.", "Let's not go into that.", "It was like that last time.", "Is there any reason for that?", "I'd rather not.", "Sounds fine to me.",
)  # fmt: skip
_GREETINGS = (
    "OK, are we all here?", "Good morning everyone.", "Shall we start?", "Hi, can everybody hear me?", "So, welcome to the meeting.", "Is this thing on?",
    "Let's get going.", "I call this meeting to order.", "Hello all.", "Who is taking the notes?", "Did everyone get the agenda?",
)  # fmt: skip
_FAREWELLS = (
    "OK, that's all for today.",
    "See you next week.",
    "Thanks everyone.",
    "The meeting is adjourned.",
    "Bye.",
    "OK, are we done?",
    "Have a good weekend.",
)


_UNSPOKEN = re.compile(r"[^\w\s]|[\d_]")
Part = tuple[str, list[str], list[str]]


@dataclass(frozen=True)
class Style:
    """Chances. opening, closing: that an item has such words. chatter, remarks, asides, distraction: that one follows a turn. broken: that
    a sentence is spoken in breaths. leading: that the item's lead speaks. longest_turn is in sentences or breaths."""

    opening: float
    closing: float
    chatter: float
    asides: float
    remarks: float
    distraction: float
    broken: float
    leading: float
    longest_turn: int


def _draw_style(rng: random.Random) -> Style:
    formal = rng.random() < 0.3
    return Style(
        opening=rng.uniform(0.35, 0.9),
        closing=rng.uniform(0.2, 0.7),
        chatter=rng.uniform(0.0, 0.15) if formal else rng.uniform(0.2, 0.7),
        remarks=rng.uniform(0.0, 0.05) if formal else rng.uniform(0.05, 0.3),
        asides=rng.uniform(0.02, 0.12) if formal else rng.uniform(0.08, 0.3),
        distraction=rng.uniform(0.0, 0.05),
        broken=rng.uniform(0.0, 0.2) if formal else rng.uniform(0.4, 1.0),
        leading=rng.uniform(0.45, 0.9),
        longest_turn=rng.randint(5, 14) if formal else rng.randint(1, 5),
    )


def compose_meeting(rng: random.Random, pool: Pool, characters: int) -> tuple[list[Piece], list[SourceDocument]]:
    """@returns pieces of ready lines `Name: text`. Agenda items have strength 3, boundaries of the material itself 1 or 2"""
    style, convention = _draw_style(rng), draw_convention(rng)
    speakers = draw_speakers(rng, rng.randint(3, 6))
    chair = speakers[0]
    item_mean = max(1_200.0, min(rng.lognormvariate(8.6, 0.6), characters / 2.5))
    one_field = rng.random() < 0.45
    home = rng.choices(MATERIAL, MATERIAL_WEIGHTS)[0]
    if home not in pool.by_category:
        one_field = False
    pieces: list[Piece] = []
    used: list[SourceDocument] = []
    size = 0
    if rng.random() < 0.5:
        small_talk = pool.draw(rng, "conversations")
        used.append(small_talk)
        turns = [Turn(rng.choice(speakers), each) for each in _said(small_talk)[: rng.randint(4, 30)]]
        turns = [Turn(chair, rng.choice(_GREETINGS))] + turns
        pieces.append(_piece(rng, turns, convention, CHAPTER))
    while size < characters * 0.9:
        share = min(item_mean * rng.lognormvariate(0, 0.6), characters * 1.15 - size)
        category = home if one_field else rng.choices(MATERIAL, MATERIAL_WEIGHTS)[0]
        sibling = used[-1] if one_field and used and used[-1].category == category and rng.random() < 0.6 else None
        document = _sibling(rng, pool, sibling) or pool.draw(rng, category)
        lead = rng.choice(speakers[1:]) if rng.random() < 0.8 else chair
        parts = _material(rng, document, share)
        if not _reads_aloud(document, parts):
            continue
        used.append(document)
        if share > 3_000 and rng.random() < 0.7 and sum(len(each) for _, said, _ in parts for each in said) < share * 0.6:
            # An item is a topic and not a text: a short one goes on with more of the same group.
            more = _sibling(rng, pool, document)
            parts = parts[:1] if more is None else [(title, said, own) for title, said, own in (*parts, *_material(rng, more, share * 0.5))]
        for index, (title, said, own) in enumerate(parts):
            turns = _discussion(rng, said, own, lead, speakers, style)
            if not turns:
                continue
            if index == 0:
                turns = _opened(rng, turns, title, said, chair, lead, style, first=not pieces)
            if index == len(parts) - 1 and rng.random() < style.closing:
                turns += _closed(rng, said, chair, lead, speakers)
            pieces.append(_piece(rng, turns, convention, CHAPTER if index == 0 else (SECTION if len(parts) < 4 else FINEST)))
            size += len(pieces[-1].text) + 1
    if pieces and rng.random() < 0.4:
        last = [Turn(rng.choice(speakers), each) for each in rng.sample(_FAREWELLS, 2)]
        pieces[-1] = Piece(f"{pieces[-1].text}\n{_piece(rng, last, convention, CHAPTER).text}", pieces[-1].strength)
    return pieces, used


def compose_lecture(rng: random.Random, pool: Pool, characters: int) -> tuple[list[Piece], list[SourceDocument]]:
    """One speaker, and now and then a listener's question. A paragraph of spoken text is one line. The material's own sections are the boundaries."""
    convention = draw_convention(rng, formal=0.4)
    name = draw_speakers(rng, 2)
    labelled = rng.random() < 0.4
    pieces: list[Piece] = []
    used: list[SourceDocument] = []
    size = 0
    while size < characters * 0.85:
        category = rng.choices(("lectures", "books", "papers", "manuals", "news", "encyclopedia", "web"), (8, 5, 3, 3, 1, 1, 2))[0]
        document = pool.draw(rng, category)
        parts = _material(rng, document, min(characters - size, rng.uniform(2_500, 16_000)))
        if not _reads_aloud(document, parts):
            continue
        used.append(document)
        for index, (title, said, _) in enumerate(parts):
            lines: list[str] = []
            if index and rng.random() < 0.35:
                opening = rng.choice(
                    (
                        "So let's look at {key}.",
                        "Now, {key}.",
                        "The next thing I want to talk about is {key}.",
                        "Okay, so {title}.",
                        "Let us turn to {key}.",
                    )
                )
                said = [_filled(rng, opening, title, said, ""), *said]
            at = 0
            while at < len(said):
                take = rng.randint(2, 7)
                lines.append(spoken(rng, " ".join(said[at : at + take]), convention))
                if rng.random() < 0.04:
                    lines.append(write(_filled(rng, rng.choice(_ASIDES), title, said[at : at + take], ""), convention))
                at += take
            text = "\n".join(f"{name[0]}: {line}" for line in lines) if labelled else "\n".join(lines)
            if text:
                pieces.append(Piece(text, CHAPTER if index == 0 else SECTION))
                size += len(text)
    return pieces, used


def _reads_aloud(document: SourceDocument, parts: list[Part]) -> bool:
    """Whether enough of the document is sentences. Nobody discusses a table or a listing line by line."""
    said = sum(len(each) for _, sentences_, _ in parts for each in sentences_)
    heard = " ".join(sentence for _, sentences_, _ in parts for sentence in sentences_[:20])
    return said > 200 and (document.kind != "prose" or len(_UNSPOKEN.findall(heard)) < 0.07 * len(heard))


def _said(document: SourceDocument) -> list[str]:
    return [line.partition(UNIT)[2] for piece in document.pieces for line in piece.text.split("\n")]


def _sibling(rng: random.Random, pool: Pool, of: SourceDocument | None) -> SourceDocument | None:
    siblings = [each for each in pool.by_group[of.group] if each is not of] if of else []
    return rng.choice(siblings) if siblings else None


def _material(rng: random.Random, document: SourceDocument, characters: float) -> list[Part]:
    """(title, sentences, who says each where the material knows) for a run of the document's pieces."""
    if document.kind == "turns":
        lines = [line.partition(UNIT) for piece in document.pieces for line in piece.text.split("\n")]
        lines = lines[: max(6, int(characters / 40))]
        return [("", [text for _, _, text in lines], [who for who, _, _ in lines])]
    start = rng.randrange(len(document.pieces)) if document.kind != "mail" else 0
    parts: list[Part] = []
    size = 0
    for piece in document.pieces[start:]:
        if size > characters:
            break
        said = sentences(piece.text)
        if len(said) > 12 and len(document.pieces) == 1:
            first = rng.randrange(max(1, len(said) - 8))
            said = said[first:]
        said = said[: max(5, int((characters - size) / 90))]
        if len(said) < 2:
            continue
        if document.kind == "mail":
            sender, subject, _ = (piece.title + UNIT * 2).split(UNIT)[:3]
            title, own = subject, [sender] * len(said)
        else:
            title, own = piece.title, []
        size += sum(map(len, said)) * 1.25
        if parts and (document.kind == "mail" or len(said) < 6):
            # One thread is one item. Sections too short for an item of their own join the one before.
            parts[-1] = (parts[-1][0], parts[-1][1] + said, parts[-1][2] + own)
        else:
            parts.append((title, said, own))
    return parts


def _discussion(rng: random.Random, said: list[str], own: list[str], lead: str, speakers: list[str], style: Style) -> list[Turn]:
    others = [each for each in speakers if each != lead] or speakers
    topic = topic_words(" ".join(said))
    voices: dict[str, str] = {}
    turns: list[Turn] = []
    breaths = [
        (breath, own[at] if own else "")
        for at, sentence in enumerate(said)
        for breath in (clauses(sentence) if rng.random() < style.broken else [sentence])
    ]
    at = 0
    while at < len(breaths):
        take = rng.randint(1, style.longest_turn)
        speaker = lead if rng.random() < style.leading else rng.choice(others)
        if own:
            take = min(take, next((n for n in range(1, len(breaths) - at) if breaths[at + n][1] != breaths[at][1]), len(breaths) - at))
            speaker = voices.setdefault(breaths[at][1], speakers[(len(voices) + speakers.index(lead)) % len(speakers)])
        stretch = " ".join(breath for breath, _ in breaths[at : at + take])
        turns.append(Turn(speaker, stretch))
        at += take
        around = [each for each in speakers if each != speaker] or speakers
        while rng.random() < style.chatter:
            turns.append(Turn(rng.choice(around), f"{rng.choice(BACKCHANNELS)}{rng.choice(('.', '.', '.', ',', '?', '!'))}"))
            if rng.random() < 0.5:
                break
        if rng.random() < style.remarks:
            turns.append(Turn(rng.choice(around), rng.choice(_REMARKS)))
        if rng.random() < style.asides:
            turns.append(Turn(rng.choice(around), rng.choice(_ASIDES).format(key=key_phrase(rng, stretch, topic) or "that")))
            if rng.random() < 0.6:
                turns.append(Turn(speaker, f"{rng.choice(BACKCHANNELS)}, {key_phrase(rng, stretch, topic) or 'that'}."))
            if rng.random() < 0.3:
                turns.append(Turn(rng.choice(around), rng.choice(_REMARKS)))
        if rng.random() < style.distraction:
            turns.append(
                Turn(
                    rng.choice(speakers),
                    rng.choice(("OK, so.", "Alright.", "So, um, okay.", "Right, next.", "Okay, thank you.", "Moving on.", "Good.")),
                )
            )
    return turns


def _opened(rng: random.Random, turns: list[Turn], title: str, said: list[str], chair: str, lead: str, style: Style, first: bool) -> list[Turn]:
    out = list(turns)
    if rng.random() < style.opening:
        out.insert(0, Turn(lead, _filled(rng, rng.choice(_OPEN_BY_SELF), title, said, lead)))
        if rng.random() < 0.6:
            out[0] = Turn(chair, _filled(rng, rng.choice(_OPEN_BY_CHAIR), title, said, lead))
        elif rng.random() < 0.3:
            out.insert(0, Turn(chair, rng.choice(("OK, so.", "Alright, next.", "Okay.", "Right, moving on.", "So.", "Next point."))))
    if first:
        out = [Turn(chair, each) for each in rng.sample(_GREETINGS, rng.randint(1, 3))] + out
    return out


def _closed(rng: random.Random, said: list[str], chair: str, lead: str, speakers: list[str]) -> list[Turn]:
    out = [Turn(chair if rng.random() < 0.6 else lead, _filled(rng, rng.choice(_CLOSE), "", said, lead))]
    for _ in range(rng.randint(0, 3)):
        out.append(Turn(rng.choice(speakers), f"{rng.choice(BACKCHANNELS)}."))
    return out


def _filled(rng: random.Random, template: str, title: str, said: list[str], name: str) -> str:
    key = key_phrase(rng, rng.choice(said[:4]) if said else "", topic_words(" ".join(said[:40]))) or "the rest"
    title = re.sub(r"^(?:re|fwd?)\s*:\s*|^\W*(?:[a-z]?[\d.]+\b[\d.]*)+\W*|\[[^\]]*\]", "", title.lower()).strip(" .:?!-")
    title = title if 3 < len(title) < 50 else key
    return template.format(title=title, key=key, name=name.split()[-1] if name else "please")


def _piece(rng: random.Random, turns: list[Turn], convention: Convention, strength: int) -> Piece:
    return Piece("\n".join(f"{turn.speaker}: {spoken(rng, turn.text, convention)}" for turn in turns), strength)
