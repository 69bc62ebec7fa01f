"""Composes chit-chat, e-mail digests and social threads from threads of real messages. Boundaries stand where the talk turns to another thread."""

from __future__ import annotations

import random
import re

from .adapters.conversation import Turn
from .document import CHAPTER, DOCUMENT, FINEST, SECTION, Piece, SourceDocument, generated
from .invented_talk import small_talk
from .pool import Pool
from .source_documents import UNIT
from .speech import FIRST_NAMES, Convention, draw_speakers, sentences, write
from .talk_topics import BRIDGES

_ANAPHORIC = re.compile(
    r"^(?:yes|yeah|yep|yup|no|nope|oh|ok|okay|haha|lol|ha|that|thats|it|its|they|he|she|true|same|me too|thanks|thank|wow|nice|cool|really|sure|why|right"
    r"|and|but|or|because|cause|so|then|exactly|agreed|awesome|good|great|i see|sounds|well|hmm|ah|aw|what about|not)\b",
    re.I,
)


def opens_topic(text: str) -> bool:
    """Whether a message could begin something new: long enough, and not an answer to what was said."""
    return len(text.split()) >= 4 and not _ANAPHORIC.match(text)


def turns_of(document: SourceDocument) -> list[Turn]:
    return [Turn(*line.split(UNIT, 1)) for piece in document.pieces for line in piece.text.split("\n") if UNIT in line]


def compose_chat(rng: random.Random, pool: Pool, characters: int) -> tuple[list[Piece], list[SourceDocument]]:
    """Short stretches of conversations one after another, as if two (or a few) people spoke. The talk drifts every few turns.

    Strength 2 where the talk turns, 3 where another session begins (with its greetings).
    """
    look = _Look(rng)
    pieces: list[Piece] = []
    used: list[SourceDocument] = []
    size = 0
    mean_turns = rng.uniform(2, 6)
    merged, most_words = rng.choice((0.2, 0.5, 0.9)), rng.choice((14, 20, 30, 80))
    # The invented talk has one grammar. It stays out of dev and test, which hold people's own words only.
    invented = rng.choice((0.0, 0.5, 0.5, 1.0)) if pool.split == "train" else 0.0
    while size < characters * 0.9:
        look.new_session(rng)
        if rng.random() < invented:
            used.append(generated("small-talk", "conversations"))
            for topic in small_talk(rng, rng.randint(2, 9), mean_turns):
                pieces.append(Piece("\n".join(look.lines(rng, list(topic.turns))), topic.strength))
                size += len(pieces[-1].text) + 1
            continue
        excerpts = rng.randint(2, 9)
        for index in range(excerpts):
            document = pool.draw(rng, "conversations")
            turns = _merged(turns_of(document)) if rng.random() < merged else turns_of(document)
            starts = [at for at, turn in enumerate(turns) if opens_topic(turn.text) and at > 3]
            if index == 0:
                start = 0
            elif not starts:
                continue
            else:
                start = rng.choice(starts)
            count = max(1, min(14, round(rng.expovariate(1 / mean_turns)) + 1))
            excerpt = turns[start : start + count]
            if index and rng.random() < 0.25:
                # People often react before they turn to something else.
                excerpt[0] = Turn(excerpt[0].speaker, f"{rng.choice(BRIDGES)} {excerpt[0].text}")
            lines = look.lines(rng, [_shortened(turn, most_words) for turn in excerpt])
            if not lines:
                continue
            pieces.append(Piece("\n".join(lines), CHAPTER if index == 0 else SECTION))
            used.append(document)
            size += len(pieces[-1].text) + 1
            if size > characters * 1.1:
                break
    return pieces, used


def _merged(turns: list[Turn]) -> list[Turn]:
    """Runs of one sender's messages as one turn."""
    out: list[Turn] = []
    for turn in turns:
        if out and out[-1].speaker == turn.speaker and len(out[-1].text) < 200:
            out[-1] = Turn(turn.speaker, f"{out[-1].text} {turn.text}" if re.search(r"[.!?]$", out[-1].text) else f"{out[-1].text}. {turn.text}")
        else:
            out.append(turn)
    return out


def _shortened(turn: Turn, words: int) -> Turn:
    """The turn's first sentences up to so many words. The first one stays, however long it is."""
    if len(turn.text.split()) <= words:
        return turn
    kept = ""
    for sentence in re.split(r"(?<=[.!?])\s+", turn.text):
        if kept and len(kept.split()) + len(sentence.split()) > words:
            break
        kept = f"{kept} {sentence}".strip()
    return Turn(turn.speaker, kept)


class _Look:
    """One layout for a whole instance: with or without names and times, letter case, spacing of punctuation."""

    def __init__(self, rng: random.Random) -> None:
        self.style = rng.choices(("bare", "names", "times", "dashes"), (0.55, 0.3, 0.1, 0.05))[0]
        self.convention = Convention(0.0, 0.0, (), 0.0, spaced=rng.random() < 0.5, lower=rng.random() < 0.5, stops=rng.random() < 0.8)
        self.expand = rng.random() < 0.4
        self.people = draw_speakers(rng, rng.randint(2, 4))
        self.minute = rng.randrange(24 * 60)

    def new_session(self, rng: random.Random) -> None:
        self.minute += rng.randint(30, 500)

    def lines(self, rng: random.Random, turns: list[Turn]) -> list[str]:
        names: dict[str, str] = {}
        out = []
        offset = rng.randrange(len(self.people))
        for turn in turns:
            name = names.setdefault(turn.speaker, self.people[(len(names) + offset) % len(self.people)])
            text = write(_expanded(turn.text) if self.expand else turn.text, self.convention)
            self.minute += rng.random() < 0.4
            clock = f"{self.minute // 60 % 24:02d}:{self.minute % 60:02d}"
            prefix = {"bare": "", "names": f"{name}: ", "times": f"[{clock}] {name}: ", "dashes": "- "}[self.style]
            out.append(prefix + text)
        return out


_CONTRACTIONS = (
    ("i'm", "i am"),
    ("don't", "do not"),
    ("it's", "it is"),
    ("that's", "that is"),
    ("i've", "i have"),
    ("what's", "what is"),
    ("can't", "can not"),
)


def _expanded(text: str) -> str:
    for short, long in _CONTRACTIONS:
        text = re.sub(rf"\b{short}\b", long, text, flags=re.I)
    return text


def compose_mail(rng: random.Random, pool: Pool, characters: int) -> tuple[list[Piece], list[SourceDocument]]:
    """An archive of threads: strength 3 before a thread, 1 before a message in it. Headers are removed; now and then a sender's line stays."""
    pieces: list[Piece] = []
    used: list[SourceDocument] = []
    size = 0
    signed = rng.random() < 0.25
    tight = rng.random() < 0.4
    while size < characters * 0.85:
        document = pool.draw(rng, "email")
        if document in used and len(used) * 3 < len(pool.by_category["email"]):
            continue
        used.append(document)
        for index, piece in enumerate(document.pieces[: rng.randint(1, 12)]):
            text = piece.text.strip("\n")
            if tight:
                text = re.sub(r"\n\s*\n", "\n", text)
            if signed:
                text = f"{text}\n{piece.title.split(UNIT)[0]}"
            pieces.append(Piece(text[:12_000] + ("" if tight else "\n"), DOCUMENT - 1 if index == 0 else FINEST))
            size += len(text)
            if size > characters * 1.1:
                break
    pieces[-1] = Piece(pieces[-1].text.rstrip("\n"), pieces[-1].strength)
    return pieces, used


def compose_social(rng: random.Random, pool: Pool, characters: int) -> tuple[list[Piece], list[SourceDocument]]:
    """Threads of posts and comments under invented handles, over mail threads, chats and passages. Strength 3 before each thread."""
    pieces: list[Piece] = []
    used: list[SourceDocument] = []
    size = 0
    style = rng.choice(("{user}: {text}", "@{user} {text}", "{user}\n{text}", "{text}", "{text} ({points} points)"))
    lower = rng.random() < 0.3
    while size < characters * 0.9:
        category = rng.choices(("email", "conversations", "web", "news", "encyclopedia", "qa"), (6, 4, 2, 2, 1, 2))[0]
        document = pool.draw(rng, category)
        users = [f"{rng.choice(FIRST_NAMES).lower()}{rng.choice(('', '_', '.', 'x'))}{rng.randint(1, 999)}" for _ in range(6)]
        posts: list[tuple[str, str]] = []
        if document.kind == "turns":
            turns = _merged(turns_of(document))[: rng.randint(3, 16)]
            posts = [(users[hash_of(turn.speaker) % 6], turn.text) for turn in turns]
        else:
            start = rng.randrange(len(document.pieces)) if document.kind == "prose" else 0
            for piece in document.pieces[start : start + 8]:
                said = sentences(piece.text)[: rng.randint(3, 14)]
                while said:
                    take = rng.randint(1, 5)
                    posts.append((rng.choice(users), " ".join(said[:take])))
                    said = said[take:]
                if document.kind == "prose":
                    break
        if len(posts) < 2:
            continue
        used.append(document)
        lines = [style.format(user=user, text=text.lower() if lower else text, points=rng.randint(1, 900)) for user, text in posts]
        pieces.append(Piece("\n".join(lines), CHAPTER))
        size += len(pieces[-1].text)
    return pieces, used


def hash_of(text: str) -> int:
    """A number that is the same in every process."""
    return sum((index + 1) * ord(character) for index, character in enumerate(text[:32]))
