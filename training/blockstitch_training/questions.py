"""Generates documents about fictional people, companies, products and events, and questions over them.

Every answer is one sentence that stands in exactly one document and begins with what it is about: a small model learns to
find it by copying. A question can also lead over two documents ("Where does the founder of Dogali live?"): its answer is
the sentence about the second. Names are a stem and an ending, so a fresh seed gives entities that no earlier seed had (up
to chance); each attribute keeps its last statement and its last question for `held_out=True`. All is a function of the seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

STEMS = [first + vowel + last for first in "BDFGKLMNPRSTVZ" for vowel in "aeiou" for last in "lnrsmk"]
ENDINGS = [vowel + middle + last for vowel in "aeiou" for middle in "bdfgklmnprstvz" for last in "aio"]
COLOURS = "red blue green amber violet silver black white golden grey orange purple yellow pink brown crimson".split()
TRADES = "baker painter doctor pilot farmer teacher lawyer singer sailor chemist potter tailor miner judge nurse cook".split()
MATERIALS = "glass steel cork linen copper oak clay wool paper stone leather marble bamboo silk rubber tin".split()
MONTHS = "January February March April May June July August September October November December".split()


@dataclass(frozen=True)
class Attribute:
    """Phrasings of one fact: `{e}` is the entity, `{v}` the value. The last of each is held out from training."""

    value: str  # "name", "person", "year" or a list's name
    statements: tuple[str, ...]
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    question: str
    answer: str
    gold: int  # index of the document that holds the answer
    via: int | None = None  # two-hop questions: index of the document that names whom the answer is about


@dataclass(frozen=True)
class Example:
    documents: list[str]
    questions: list[Question]


KINDS: dict[str, dict[str, Attribute]] = {
    "person": {
        "city": Attribute(
            "name",
            ("{e} lives in {v}.", "{e} has a home in {v}.", "{e} dwells in {v}.", "{e} has settled in {v}."),
            ("Where does {e} live?", "In which city does {e} live?", "Where is the home of {e}?", "Which city is home to {e}?"),
        ),
        "trade": Attribute(
            "trade",
            ("{e} works as a {v}.", "{e} earns money as a {v}.", "{e} became a {v}.", "{e} is a {v} by trade."),
            ("What does {e} work as?", "What is the trade of {e}?", "Which job does {e} have?", "As what does {e} earn money?"),
        ),
        "friend": Attribute(
            "person",
            ("{e} is a friend of {v}.", "{e} trusts {v}.", "{e} plays chess with {v}.", "{e} is close to {v}."),
            ("Who is the friend of {e}?", "Which friend does {e} have?", "With whom is {e} close?", "Whom does {e} trust?"),
        ),
        "year": Attribute(
            "year",
            ("{e} was born in {v}.", "{e} came to the world in {v}.", "{e} counts age from {v}.", "{e} has lived since {v}."),
            ("When was {e} born?", "In which year was {e} born?", "What is the birth year of {e}?", "Since when has {e} lived?"),
        ),
    },
    "company": {
        "city": Attribute(
            "name",
            ("{e} is based in {v}.", "{e} has an office in {v}.", "{e} rents rooms in {v}.", "{e} has its seat in {v}."),
            ("Where is {e} based?", "In which city is {e} based?", "Where is the office of {e}?", "Where does {e} rent rooms?"),
        ),
        "founder": Attribute(
            "person",
            ("{e} was founded by {v}.", "{e} owes its start to {v}.", "{e} thanks its founder {v}.", "{e} was begun by {v}."),
            ("Who founded {e}?", "Who is the founder of {e}?", "By whom was {e} founded?", "To whom does {e} owe its start?"),
        ),
        "year": Attribute(
            "year",
            ("{e} was set up in {v}.", "{e} opened its doors in {v}.", "{e} dates back to {v}.", "{e} has been there since {v}."),
            ("When was {e} set up?", "In which year was {e} set up?", "Since when is there {e}?", "When did {e} open its doors?"),
        ),
    },
    "product": {
        "colour": Attribute(
            "colour",
            ("The {e} comes in {v}.", "The {e} is painted {v}.", "The {e} shines in {v}.", "The {e} has the colour {v}."),
            ("What is the colour of the {e}?", "In which colour does the {e} come?", "Which colour has the {e}?", "How is the {e} painted?"),
        ),
        "maker": Attribute(
            "person",
            ("The {e} is made by {v}.", "The {e} comes out of the shop of {v}.", "The {e} is a work of {v}.", "The {e} was made by {v}."),
            ("Who makes the {e}?", "Who is the maker of the {e}?", "By whom is the {e} made?", "Out of whose shop does the {e} come?"),
        ),
        "material": Attribute(
            "material",
            ("The {e} is built from {v}.", "The {e} consists of {v}.", "The {e} has a body of {v}.", "The {e} is all {v}."),
            ("What is the {e} built from?", "Of what does the {e} consist?", "Which material is the {e} made of?", "What body has the {e}?"),
        ),
    },
    "event": {
        "place": Attribute(
            "name",
            ("The {e} fair takes place in {v}.", "The {e} fair is held in {v}.", "The {e} fair fills the streets of {v}.", "The {e} fair goes on in {v}."),
            ("Where is the {e} fair held?", "Where does the {e} fair take place?", "In which city is the {e} fair?", "Whose streets does the {e} fair fill?"),
        ),
        "host": Attribute(
            "person",
            ("The {e} fair is hosted by {v}.", "The {e} fair is run by {v}.", "The {e} fair has a host named {v}.", "The {e} fair is led by {v}."),
            ("Who hosts the {e} fair?", "Who is the host of the {e} fair?", "Who runs the {e} fair?", "By whom is the {e} fair hosted?"),
        ),
        "month": Attribute(
            "month",
            ("The {e} fair opens in {v}.", "The {e} fair starts in {v}.", "The {e} fair comes each {v}.", "The {e} fair begins in {v}."),
            ("When does the {e} fair open?", "In which month does the {e} fair open?", "When is the start of the {e} fair?", "In which month does the {e} fair start?"),
        ),
    },
}  # fmt: skip

# How a two-hop question speaks of the person that a fact leads to.
HOPS = {
    ("person", "friend"): "the friend of {e}",
    ("company", "founder"): "the founder of {e}",
    ("product", "maker"): "the maker of the {e}",
    ("event", "host"): "the host of the {e} fair",
}


@dataclass(frozen=True)
class Fact:
    kind: str
    attribute: str
    entity: str
    value: str
    statement: str
    document: int


def make_name(rng: random.Random) -> str:
    return rng.choice(STEMS) + rng.choice(ENDINGS)


class World:
    """The facts of one example: entities in documents, people who turn up in each other's facts."""

    def __init__(self, rng: random.Random, documents: int, entities: int, held_out: bool):
        self.rng = rng
        self.held_out = held_out
        self.used: set[str] = set()
        self.places = [(rng.choice(list(KINDS)), self.fresh_name(), index) for index in range(documents) for _ in range(entities)]
        self.people = [name for kind, name, _ in self.places if kind == "person"]
        self.facts = [self.fact(place, attribute) for place in self.places for attribute in self.shuffled(KINDS[place[0]])]

    def shuffled(self, names) -> list[str]:
        names = list(names)
        self.rng.shuffle(names)
        return names

    def fresh_name(self) -> str:
        name = make_name(self.rng)
        while name in self.used:
            name = make_name(self.rng)
        self.used.add(name)
        return name

    def phrase(self, phrases: tuple[str, ...]) -> str:
        return phrases[-1] if self.held_out else self.rng.choice(phrases[:-1])

    def fact(self, place: tuple[str, str, int], attribute: str) -> Fact:
        kind, entity, document = place
        described = KINDS[kind][attribute]
        value = self.value(described.value, entity)
        return Fact(kind, attribute, entity, value, self.phrase(described.statements).format(e=entity, v=value), document)

    def value(self, sort: str, entity: str) -> str:
        rng = self.rng
        if sort == "year":
            return str(rng.randint(1800, 2020))
        if sort == "person":
            others = [name for name in self.people if name != entity]
            return rng.choice(others) if others and rng.random() < 0.6 else self.fresh_name()
        lists = {"trade": TRADES, "colour": COLOURS, "material": MATERIALS, "month": MONTHS}
        return rng.choice(lists[sort]) if sort in lists else self.fresh_name()

    def one_hop(self) -> list[Question]:
        return [
            Question(self.phrase(KINDS[fact.kind][fact.attribute].questions).format(e=fact.entity), fact.statement, fact.document)
            for fact in self.facts
        ]

    def two_hop(self) -> list[Question]:
        """Questions about a person named by another fact in another document."""
        of_person: dict[str, list[Fact]] = {}
        for fact in self.facts:
            if fact.kind == "person":
                of_person.setdefault(fact.entity, []).append(fact)
        asked = []
        for fact in self.facts:
            named = HOPS.get((fact.kind, fact.attribute))
            if named is None or fact.value not in of_person:
                continue
            last = self.rng.choice(of_person[fact.value])
            if last.document != fact.document:
                question = self.phrase(KINDS["person"][last.attribute].questions).format(e=named.format(e=fact.entity))
                asked.append(Question(question, last.statement, last.document, fact.document))
        return asked


def make_example(
    rng: random.Random, documents: int, questions: int, entities: int = 1, two_hop: float = 0.0, held_out: bool = False
) -> Example:
    """`documents` texts about `entities` entities each, and up to `questions` different questions over them, all answerable.

    two_hop: share of the questions, 0 to 1, that lead over two documents (fewer where the facts have no such pair).
    held_out: statements and questions in the phrasing that training never shows.
    """
    world = World(rng, documents, entities, held_out)
    texts = [" ".join(fact.statement for fact in world.facts if fact.document == index) for index in range(documents)]
    single, double = world.shuffled(world.one_hop()), world.shuffled(world.two_hop())
    wanted = sum(rng.random() < two_hop for _ in range(questions))
    chosen = double[:wanted]
    chosen += single[: questions - len(chosen)]
    rng.shuffle(chosen)
    return Example(texts, chosen)
