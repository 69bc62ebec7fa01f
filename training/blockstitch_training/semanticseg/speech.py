"""Makes written sentences spoken: fillers, false starts, transcript marks, spacing before punctuation, names of speakers.

The convention is drawn once per instance, because a transcript has one, and applied per turn. It knows no topics.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass

FIRST_NAMES = (
    "Alice Ben Carla David Elena Frank Grace Hugo Irene James Kiran Laura Miguel Nora Oscar Paula Quentin Rosa Sam Tara Umar Vera "
    "William Xin Yara Zoe Amir Bianca Chen Dora Emil Fatima George Hana Ivan Julia Karl Lena Marc Nadia Olga Peter Rita Stefan Tom "
    "Ursula Victor Wanda Yusuf Anya"
).split()
LAST_NAMES = (
    "Smith Jones Baker Cooper Evans Fischer Garcia Hughes Ivanov Jensen Khan Lopez Murphy Novak Olsen Patel Quinn Rossi Schmidt Taylor "
    "Usman Vega Walker Young Zhang Brown Carter Dubois Edwards Fox Green Hall Ito Jackson Kim Lewis Morgan Nguyen"
).split()
ROLES = (
    ("Project Manager", "Designer", "Engineer", "Marketing", "Researcher", "Finance"),
    ("Chair", "Secretary", "Treasurer", "Member A", "Member B", "Member C"),
    ("Professor A", "Postdoc B", "Student C", "Student D", "Engineer E", "Visitor F"),
    ("Speaker 1", "Speaker 2", "Speaker 3", "Speaker 4", "Speaker 5", "Speaker 6"),
    ("A", "B", "C", "D", "E", "F"),
)
BACKCHANNELS = (
    "Yeah", "Mm-hmm", "Right", "OK", "Uh-huh", "Okay", "Yep", "Sure", "Hmm", "Mm", "Oh", "Oh okay", "I see", "Exactly", "Yeah yeah", "True", "Alright",
    "Cool", "Good", "That's right", "No", "Of course", "Oh right", "Great", "Yes", "Fine", "Makes sense", "Really", "Wow", "Okay good", "Got it",
)  # fmt: skip
FILLERS = ("uh", "um", "you know", "I mean", "like", "well", "sort of", "kind of", "er", "actually", "basically", "so")
MARKS = (("{disfmarker}", "{vocalsound}", "{pause}", "{gap}"), ("[laughter]", "[pause]", "[noise]"), ("(inaudible)", "(crosstalk)"), ("...", "--"))
_SENTENCES = re.compile(r"(?<=[.!?])[\"')\]]?\s+|\n\s*\n")
_WORD = re.compile(r"\w+")
_UNREADABLE = re.compile(
    r"`+|\*\*|::|<[^<>]*>|\[[^\]]{0,60}\]|\((?:[^()]{0,12}\d[^()]{0,12})\)|https?://\S+|_{2,}|\b(?:pp?|Op\. Cit|ibid)\.[^.]{0,12}\d+"
)
_CLAUSE_END = re.compile(r"(?<=[,;:])\s+|\s+(?=(?:and|but|because|which|so|or|while|when|if|that) )")
_SYMBOL = re.compile(r"[^\w\s]|_")
_STOP = frozenset(
    (
        "within without upon among against toward towards because since while until though although however therefore thus many much every "
        "either neither another several whether itself themselves himself herself being going like made make makes used using uses shown "
        "given take taken takes found first second last next often always never still even well back away together around rather quite "
        "almost perhaps already later least less else shall along example different the a an of to in and or is are was were be been it "
        "this that these those for on with as by at from not but if then than so we you they he she his her their our your my i me him them "
        "us do does did have has had will would can could should may might must there here what which who when where how why all any some "
        "no such into out up down over under again more most other only own same too very just also each about between through during "
        "before after"
    ).split()
)


def sentences(text: str, most: int = 60_000) -> list[str]:
    """Rough sentences of prose. Lists, code and tables are left out, because nobody reads them aloud. most: characters looked at."""
    kept = []
    for paragraph in re.split(r"\n\s*\n", text[:most]):
        if re.match(r"^\s*(?:[|>#$%{}]|[-*+]\s)", paragraph) or len(_SYMBOL.findall(paragraph)) > 0.12 * len(paragraph):
            continue
        kept.append(" ".join(_UNREADABLE.sub(" ", paragraph).split()))
    out = []
    for sentence in _SENTENCES.split("\n\n".join(kept)):
        words = (sentence or "").split()
        if 3 <= len(words) <= 60:
            out.append(" ".join(words))
        elif len(words) > 60:
            out.extend(" ".join(words[at : at + 40]) for at in range(0, min(len(words), 160), 40))
    return out


def clauses(sentence: str, shortest: int = 5) -> list[str]:
    """A sentence as the breaths of a speaker. It is cut at commas and joining words, and no piece has fewer than so many words."""
    out: list[str] = []
    for part in _CLAUSE_END.split(sentence):
        if out and (len(out[-1].split()) < shortest or len(part.split()) < shortest):
            out[-1] += f" {part}"
        else:
            out.append(part)
    return out


def topic_words(text: str, most: int = 14) -> frozenset[str]:
    """The content words that a stretch of talk repeats most. Its listeners would repeat them too."""
    counts = Counter(word for word in _WORD.findall(text.lower()) if len(word) > 3 and word not in _STOP and not word.isdigit())
    return frozenset(word for word, count in counts.most_common(most) if count > 1)


def key_phrase(rng: random.Random, text: str, topic: frozenset[str] = frozenset()) -> str:
    """One to three neighbouring content words, as a listener would echo them, mostly around a word of the topic. Empty where there are none."""
    words = _WORD.findall(text)
    starts = [at for at, word in enumerate(words) if len(word) > 3 and word.lower() not in _STOP and not word.isdigit()]
    if topic and rng.random() < 0.75:
        starts = [at for at in starts if words[at].lower() in topic] or starts
        if not starts:
            return rng.choice(sorted(topic))
    if not starts:
        return ""
    at = rng.choice(starts)
    end = at + 1
    while end < len(words) and end - at < 3 and words[end].lower() not in _STOP and rng.random() < 0.5:
        end += 1
    return " ".join(words[at:end]).lower()


@dataclass(frozen=True)
class Convention:
    """spaced: punctuation stands apart, as in tokenized corpora. lower: all is in lower case. marks: transcriber's marks."""

    fillers: float
    repeats: float
    marks: tuple[str, ...]
    mark_share: float
    spaced: bool
    lower: bool
    stops: bool


def draw_convention(rng: random.Random, formal: float = 0.25) -> Convention:
    careful = rng.random() < formal
    return Convention(
        fillers=0.0 if careful else rng.uniform(0.01, 0.07),
        repeats=0.0 if careful else rng.uniform(0.0, 0.04),
        marks=rng.choice(MARKS) if not careful and rng.random() < 0.6 else (),
        mark_share=rng.uniform(0.005, 0.04),
        spaced=rng.random() < 0.5,
        lower=rng.random() < 0.12,
        stops=rng.random() < 0.93,
    )


def spoken(rng: random.Random, text: str, convention: Convention) -> str:
    """The text as this transcript would have it."""
    words: list[str] = []
    for word in text.split():
        if convention.fillers and rng.random() < convention.fillers:
            filler = rng.choice(FILLERS)
            words.append(f"{filler}," if rng.random() < 0.6 else filler)
        if convention.repeats and rng.random() < convention.repeats and word.isalpha():
            words.append(word if rng.random() < 0.7 else word[: max(1, len(word) // 2)])
            if convention.marks and rng.random() < 0.5:
                words.append(convention.marks[0])
        words.append(word)
        if convention.marks and rng.random() < convention.mark_share:
            words.append(rng.choice(convention.marks))
    out = " ".join(words)
    return write(out, convention)


def write(text: str, convention: Convention) -> str:
    """Punctuation and case by the convention. No word is added or removed."""
    if convention.lower:
        text = text.lower()
    if not convention.stops:
        text = re.sub(r"[.,;:]+(?=\s|$)", "", text)
    if convention.spaced:
        text = re.sub(r"(?<=\w)([.,!?;:]+)(?=\s|$)", r" \1", text)
        text = re.sub(r"(?<=[A-Za-z])('(?:s|m|re|ve|ll|d)|n't)\b", r" \1", text)
        text = re.sub(r"(?<=\w)-(?=\w)", " - ", text)
    return text


def draw_speakers(rng: random.Random, count: int) -> list[str]:
    """Distinct labels in one style: first names, full names, titles, roles, initials."""
    style = rng.random()
    if style < 0.35:
        return rng.sample(FIRST_NAMES, count)
    if style < 0.55:
        return [f"{first} {last}" for first, last in zip(rng.sample(FIRST_NAMES, count), rng.sample(LAST_NAMES, count), strict=True)]
    if style < 0.7:
        return [f"{rng.choice(('Mr.', 'Ms.', 'Dr.', 'Hon.'))} {rng.choice(FIRST_NAMES)} {last}" for last in rng.sample(LAST_NAMES, count)]
    roles = rng.choice(ROLES)
    return list(roles[:count]) if count <= len(roles) else rng.sample(FIRST_NAMES, count)
