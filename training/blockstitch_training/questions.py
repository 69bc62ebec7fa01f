"""Generates documents about fictional people, companies, products, places and events, and questions over them.

Every answer is one sentence, a span of exactly one document, and begins with what the question asks about: a small model
learns to find it by copying. Names are put together from syllables, so a fresh seed gives entities
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
        "city": Attribute(
            ("{e} lives in {v}.", "{e} has a home in {v}.", "{e} dwells in {v}."),
            ("Where does {e} live?", "In which city does {e} live?", "Where is the home of {e}?"),
        ),
        "trade": Attribute(
            ("{e} works as a {v}.", "{e} earns money as a {v}.", "{e} became a {v}."),
            ("What does {e} work as?", "What is the trade of {e}?", "Which job does {e} have?"),
        ),
        "friend": Attribute(
            ("{e} is a friend of {v}.", "{e} trusts {v}.", "{e} plays chess with {v}."),
            ("Who is the friend of {e}?", "Which friend does {e} have?", "With whom is {e} close?"),
        ),
        "year": Attribute(
            ("{e} was born in {v}.", "{e} came to the world in {v}.", "{e} counts age from {v}."),
            ("When was {e} born?", "In which year was {e} born?", "What is the birth year of {e}?"),
        ),
    },
    "company": {
        "city": Attribute(
            ("{e} is based in {v}.", "{e} has an office in {v}.", "{e} rents rooms in {v}."),
            ("Where is {e} based?", "In which city is {e} based?", "Where is the office of {e}?"),
        ),
        "founder": Attribute(
            ("{e} was founded by {v}.", "{e} owes its start to {v}.", "{e} thanks its founder {v}."),
            ("Who founded {e}?", "Who is the founder of {e}?", "By whom was {e} founded?"),
        ),
        "year": Attribute(
            ("{e} was set up in {v}.", "{e} opened its doors in {v}.", "{e} dates back to {v}."),
            ("When was {e} set up?", "In which year was {e} set up?", "Since when is there {e}?"),
        ),
    },
    "product": {
        "colour": Attribute(
            ("The {e} comes in {v}.", "The {e} is painted {v}.", "The {e} shines in {v}."),
            ("What is the colour of the {e}?", "In which colour does the {e} come?", "Which colour has the {e}?"),
        ),
        "maker": Attribute(
            ("The {e} is made by {v}.", "The {e} comes out of the shop of {v}.", "The {e} is a work of {v}."),
            ("Who makes the {e}?", "Who is the maker of the {e}?", "By whom is the {e} made?"),
        ),
        "material": Attribute(
            ("The {e} is built from {v}.", "The {e} consists of {v}.", "The {e} has a body of {v}."),
            ("What is the {e} built from?", "Of what does the {e} consist?", "Which material is the {e} made of?"),
        ),
    },
    "event": {
        "place": Attribute(
            ("The {e} fair takes place in {v}.", "The {e} fair is held in {v}.", "The {e} fair fills the streets of {v}."),
            ("Where is the {e} fair held?", "Where does the {e} fair take place?", "In which city is the {e} fair?"),
        ),
        "host": Attribute(
            ("The {e} fair is hosted by {v}.", "The {e} fair is run by {v}.", "The {e} fair has a host named {v}."),
            ("Who hosts the {e} fair?", "Who is the host of the {e} fair?", "Who runs the {e} fair?"),
        ),
        "month": Attribute(
            ("The {e} fair opens in {v}.", "The {e} fair starts in {v}.", "The {e} fair comes each {v}."),
            ("When does the {e} fair open?", "In which month does the {e} fair open?", "When is the start of the {e} fair?"),
        ),
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
                statement = rng.choice(phrases.statements).format(e=entity, v=value)
                sentences.append(statement)
                asked.append(Question(rng.choice(phrases.questions).format(e=entity), statement, index))
        texts.append(" ".join(sentences))
    rng.shuffle(asked)
    return Example(texts, asked[:questions])
