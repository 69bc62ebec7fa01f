"""Generates documents about fictional people, companies, products and events, and questions over them.

Every answer is one sentence that stands in exactly one document: a small model learns to find it by copying. Three sorts of question:

- direct: the sentence stands in a document as it is asked for.
- continued: the text was cut in the middle of its subject. The sentence is the first of the next document and names its subject by
  the initial only ("K. lives in Bergo."), as texts do; the answer has the name ("Kalido lives in Bergo."). Who "K." is stands in the
  document before. By itself such a document is ambiguous only where two subjects share an initial. Contexts with such documents
  are about subjects of one kind and tell the same of each, so that what is asked for does not find the sentence without the name.
- two-hop: "Where does the founder of Dogali live?"; the answer is the sentence about the second.

Names are a stem and an ending, so a fresh seed gives entities that no earlier seed had (up to chance). Each attribute is stated and
asked for in four ways; two of the sixteen pairs of statement and question are kept for `held_out=True`, and never trained.
All is a function of the seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

INITIALS = "BDFGKLMNPRSTVZ"
STEMS = [first + vowel + last for first in INITIALS for vowel in "aeiou" for last in "lnrsmk"]
ENDINGS = [vowel + middle + last for vowel in "aeiou" for middle in "bdfgklmnprstvz" for last in "aio"]
COLOURS = "red blue green amber violet silver black white golden grey orange purple yellow pink brown crimson".split()
TRADES = "baker painter doctor pilot farmer teacher lawyer singer sailor chemist potter tailor miner judge nurse cook".split()
MATERIALS = "glass steel cork linen copper oak clay wool paper stone leather marble bamboo silk rubber tin".split()
MONTHS = "January February March April May June July August September October November December".split()


@dataclass(frozen=True)
class Attribute:
    """Phrasings of one fact: `{e}` is the entity, `{v}` the value. As many statements as questions."""

    value: str  # "name", "person", "year" or a list's name
    statements: tuple[str, ...]
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    question: str
    answer: str  # the sentence, with the entity's full name
    gold: int  # index of the document that holds the answer
    via: int | None = None  # two-hop questions: index of the document that names whom the answer is about
    named_in: int | None = None  # continued questions: index of the document that names what the answer's abbreviates

    @property
    def sort(self) -> str:
        return "two-hop" if self.via is not None else "direct" if self.named_in is None else "continued"


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
    phrasing: int  # which of the attribute's statements
    document: int  # that holds it
    introduced: int  # document that names the entity

    @property
    def described(self) -> Attribute:
        return KINDS[self.kind][self.attribute]

    @property
    def answer(self) -> str:
        return self.described.statements[self.phrasing].format(e=self.entity, v=self.value)

    @property
    def statement(self) -> str:
        """As it stands in the document."""
        subject = self.entity if self.document == self.introduced else f"{self.entity[0]}."
        return self.described.statements[self.phrasing].format(e=subject, v=self.value)


def make_name(rng: random.Random) -> str:
    return rng.choice(STEMS) + rng.choice(ENDINGS)


def is_held_out(statement: int, question: int, phrasings: int) -> bool:
    """Whether this pair of phrasings is kept from training: one question for every second statement."""
    return statement % 2 == 0 and statement + question == phrasings - 1


class World:
    """The facts of one example: entities in documents, people who turn up in each other's facts."""

    def __init__(self, rng: random.Random, documents: int, entities: int, held_out: bool, continued: float, shared_initials: bool):
        self.rng = rng
        self.held_out = held_out
        self.used: set[str] = set()
        self.taken: set[tuple[str, str]] = set()  # initials by kind
        self.shared = rng.sample(INITIALS, entities) if shared_initials else None
        self.kinds = [rng.choice(list(KINDS))] if continued > 0 else list(KINDS)
        alike = self.shuffled(KINDS[self.kinds[0]]) if continued > 0 else None
        self.places = [place for index in range(documents) for place in self.places_of(index, entities)]
        self.people = [name for kind, name, _ in self.places if kind == "person"]
        self.facts: list[Fact] = []
        for at, place in enumerate(self.places):
            of_place = [self.fact(place, attribute) for attribute in alike or self.shuffled(KINDS[place[0]])]
            is_last = at + 1 < len(self.places) and self.places[at + 1][2] != place[2]
            if is_last and rng.random() < continued:
                carried = rng.randint(1, 2)
                of_place[-carried:] = [replace(fact, document=place[2] + 1) for fact in of_place[-carried:]]
            self.facts += of_place

    def places_of(self, document: int, entities: int) -> list[tuple[str, str, int]]:
        initials = [None] * entities if self.shared is None else self.shuffled(self.shared)
        return [(kind, self.subject(kind, initial), document) for initial in initials for kind in [self.rng.choice(self.kinds)]]

    def shuffled(self, names) -> list[str]:
        names = list(names)
        self.rng.shuffle(names)
        return names

    def subject(self, kind: str, initial: str | None) -> str:
        """A new name: with the given initial, else with one that no other subject of this kind has, while there are such."""
        free = [each for each in INITIALS if (kind, each) not in self.taken]
        wanted = [initial] if initial else free or list(INITIALS)
        name = self.fresh_name()
        while name[0] not in wanted:
            name = self.fresh_name()
        self.taken.add((kind, name[0]))
        return name

    def fresh_name(self) -> str:
        name = make_name(self.rng)
        while name in self.used:
            name = make_name(self.rng)
        self.used.add(name)
        return name

    def fact(self, place: tuple[str, str, int], attribute: str) -> Fact:
        kind, entity, document = place
        described = KINDS[kind][attribute]
        value = self.value(described.value, entity)
        return Fact(kind, attribute, entity, value, self.rng.randrange(len(described.statements)), document, document)

    def value(self, sort: str, entity: str) -> str:
        rng = self.rng
        if sort == "year":
            return str(rng.randint(1800, 2020))
        if sort == "person":
            others = [name for name in self.people if name != entity]
            return rng.choice(others) if others and rng.random() < 0.6 else self.fresh_name()
        lists = {"trade": TRADES, "colour": COLOURS, "material": MATERIALS, "month": MONTHS}
        return rng.choice(lists[sort]) if sort in lists else self.fresh_name()

    def phrasings(self, fact: Fact) -> list[str]:
        """The questions that may go with the fact's statement; none where all of them are trained and held-out ones are wanted."""
        questions = fact.described.questions
        return [each for at, each in enumerate(questions) if is_held_out(fact.phrasing, at, len(questions)) == self.held_out]

    def asked(self, fact: Fact, of: str) -> str:
        return self.rng.choice(self.phrasings(fact)).format(e=of)

    def one_hop(self) -> list[Question]:
        return [
            Question(self.asked(fact, fact.entity), fact.answer, fact.document, None, fact.introduced if fact.introduced != fact.document else None)
            for fact in self.facts
            if self.phrasings(fact)
        ]

    def two_hop(self) -> list[Question]:
        """Questions about a person named by another fact in another document, neither of them abbreviated."""
        whole = [fact for fact in self.facts if fact.document == fact.introduced]
        of_person: dict[str, list[Fact]] = {}
        for fact in whole:
            if fact.kind == "person" and self.phrasings(fact):
                of_person.setdefault(fact.entity, []).append(fact)
        asked = []
        for fact in whole:
            named = HOPS.get((fact.kind, fact.attribute))
            if named is None or fact.value not in of_person:
                continue
            last = self.rng.choice(of_person[fact.value])
            if last.document != fact.document:
                asked.append(Question(self.asked(last, named.format(e=fact.entity)), last.answer, last.document, fact.document))
        return asked


def make_example(
    rng: random.Random, documents: int, questions: int, entities: int = 1, two_hop: float = 0.0, held_out: bool = False,
    continued: float = 0.0, shared_initials: bool = False,
) -> Example:
    """`documents` texts about `entities` entities each, and up to `questions` different questions over them, all answerable. Among
    few facts there may be none with a held-out pair.

    two_hop: share of the questions, 0 to 1, that lead over two documents (fewer where the facts have no such pair).
    held_out: questions in phrasings that training never shows together with their statements.
    continued: share of the documents, 0 to 1, that begin with one or two sentences about the subject of the one before. Above 0
        all subjects are of one kind and told of in one order.
    shared_initials: every document's subjects have the same initials, so that an abbreviation says nothing by itself; else
        subjects of one kind have different ones, while the alphabet lasts.
    """  # fmt: skip
    world = World(rng, documents, entities, held_out, continued, shared_initials)
    texts = [" ".join(fact.statement for fact in world.facts if fact.document == index) for index in range(documents)]
    single, double = world.shuffled(world.one_hop()), world.shuffled(world.two_hop())
    wanted = sum(rng.random() < two_hop for _ in range(questions))
    chosen = double[:wanted]
    chosen += single[: questions - len(chosen)]
    rng.shuffle(chosen)
    return Example(texts, chosen)
