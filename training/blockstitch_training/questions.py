"""Generates documents about fictional people, companies, products, places and events, and questions over them.

Every answer is a span of exactly one document. Names are put together from syllables, so a fresh seed gives entities
that no earlier seed had (up to chance); everything is a function of the seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

SYLLABLES = "ba be bo da de di do fa fe ga go ka ke ki ko la le li lo ma me mi mo na ne no pa po ra re ri ro sa se si so ta te ti to va ve vi zo".split()
COLOURS = "red blue green amber violet silver black white golden grey".split()
TRADES = "baker painter doctor pilot farmer teacher lawyer singer sailor chemist".split()
MATERIALS = "glass steel cork linen copper oak clay wool paper stone".split()


@dataclass(frozen=True)
class Attribute:
    """Phrasings of one fact: `{e}` is the entity, `{v}` the value."""

    statements: tuple[str, ...]
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    question: str
    answer: str
    gold: int  # index of the document that holds the answer


@dataclass(frozen=True)
class Example:
    documents: list[str]
    questions: list[Question]


KINDS: dict[str, dict[str, Attribute]] = {
    "person": {
        "city": Attribute(("{e} lives in {v}.", "The home of {e} is {v}."), ("Where does {e} live?", "In which city does {e} live?")),
        "trade": Attribute(("{e} works as a {v}.", "By trade {e} is a {v}."), ("What is the trade of {e}?", "What does {e} work as?")),
        "friend": Attribute(("The best friend of {e} is {v}.", "{e} has a friend named {v}."), ("Who is the friend of {e}?", "Which friend does {e} have?")),
        "year": Attribute(("{e} was born in {v}.", "The birth year of {e} is {v}."), ("When was {e} born?", "In which year was {e} born?")),
    },
    "company": {
        "city": Attribute(("{e} is based in {v}.", "The office of {e} stands in {v}."), ("Where is {e} based?", "In which city is {e} based?")),
        "founder": Attribute(("{e} was founded by {v}.", "The founder of {e} is {v}."), ("Who founded {e}?", "Who is the founder of {e}?")),
        "year": Attribute(("{e} was set up in {v}.", "The first year of {e} was {v}."), ("When was {e} set up?", "In which year was {e} set up?")),
    },
    "product": {
        "colour": Attribute(("The {e} comes in {v}.", "The colour of the {e} is {v}."), ("What is the colour of the {e}?", "In which colour does the {e} come?")),
        "maker": Attribute(("The {e} is made by {v}.", "The maker of the {e} is {v}."), ("Who makes the {e}?", "Who is the maker of the {e}?")),
        "material": Attribute(("The {e} is built from {v}.", "The {e} consists of {v}."), ("What is the {e} built from?", "Of what does the {e} consist?")),
    },
    "event": {
        "place": Attribute(("The {e} fair takes place in {v}.", "The {e} fair is held in {v}."), ("Where is the {e} fair held?", "Where does the {e} fair take place?")),
        "host": Attribute(("The {e} fair is hosted by {v}.", "The host of the {e} fair is {v}."), ("Who hosts the {e} fair?", "Who is the host of the {e} fair?")),
        "month": Attribute(("The {e} fair opens in {v}.", "The opening of the {e} fair is in {v}."), ("When does the {e} fair open?", "In which month does the {e} fair open?")),
    },
}
MONTHS = "January February March April May June July August September October November December".split()


def _name(rng: random.Random) -> str:
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(2, 3))).capitalize()


def _value(rng: random.Random, attribute: str) -> str:
    if attribute == "year":
        return str(rng.randint(1800, 2020))
    if attribute == "trade":
        return rng.choice(TRADES)
    if attribute == "colour":
        return rng.choice(COLOURS)
    if attribute == "material":
        return rng.choice(MATERIALS)
    if attribute == "month":
        return rng.choice(MONTHS)
    return _name(rng)


def make_example(rng: random.Random, documents: int, questions: int, entities: int = 1) -> Example:
    """`documents` texts about `entities` entities each, and up to `questions` questions over them, all answerable."""
    texts: list[str] = []
    asked: list[Question] = []
    used: set[str] = set()
    for index in range(documents):
        sentences: list[str] = []
        for _ in range(entities):
            kind = KINDS[rng.choice(list(KINDS))]
            entity = _name(rng)
            while entity in used:
                entity = _name(rng)
            used.add(entity)
            for attribute, phrases in kind.items():
                value = _value(rng, attribute)
                while value in used:
                    value = _value(rng, attribute)
                if value[0].isupper() and attribute != "month":
                    used.add(value)
                sentences.append(rng.choice(phrases.statements).format(e=entity, v=value))
                asked.append(Question(rng.choice(phrases.questions).format(e=entity), value, index))
        texts.append(" ".join(sentences))
    rng.shuffle(asked)
    return Example(texts, asked[:questions])
