"""Generates documents about fictional people, companies, products and events, and questions over them.

Every answer is one sentence that stands in exactly one document. A small model learns to find it and copies it. There are three sorts
of question:

- direct: the sentence stands in a document as it is asked for.
- continued: the text was cut in the middle of its subject. The sentence is the first of the next document. It abbreviates its subject to
  the stem ("Kal. lives in Bergo."), as texts do. The answer has the name ("Kalido lives in Bergo."). The document before says who that
  is. By itself such a document is ambiguous only where two subjects begin alike. Contexts with such documents are about subjects of one
  kind and tell the same of each, so that nobody finds the sentence without the name.
- two-hop: "Where does the founder of Dogali live?" One sentence names the founder, and the answer is the sentence about the founder.

Names are a stem and an ending, so a fresh seed gives entities that no earlier seed had (up to chance). Each attribute is stated in four
ways. It is asked for in four ways behind six openers. For each way of asking one opener is kept for `held_out=True` and never trained.
Everything depends on the seed alone. The file knows no tokens and no models.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

INITIALS = "BDFGKLMNPRSTVZ"
SHORTENED = 3  # letters that are left of an abbreviated name: the stem
STEMS = [first + vowel + last for first in INITIALS for vowel in "aeiou" for last in "lnrsmk"]
ENDINGS = [vowel + middle + last for vowel in "aeiou" for middle in "bdfgklmnprstvz" for last in "aio"]
COLOURS = "red blue green amber violet silver black white golden grey orange purple yellow pink brown crimson".split()
TRADES = "baker painter doctor pilot farmer teacher lawyer singer sailor chemist potter tailor miner judge nurse cook".split()
MATERIALS = "glass steel cork linen copper oak clay wool paper stone leather marble bamboo silk rubber tin".split()
OPENERS = ("", "Tell me.", "One question.", "Please help.", "Do you know?", "Good day.")
MONTHS = "January February March April May June July August September October November December".split()


@dataclass(frozen=True)
class Attribute:
    """Phrasings of one fact: `{e}` is the entity, `{v}` the value. There are as many statements as questions."""

    value: str  # "name", "person", "year" or a list's name
    statements: tuple[str, ...]
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    question: str
    answer: str  # the sentence, with the entity's full name
    gold: int  # index of the document that holds the answer
    via: int | None = None  # two-hop questions: index of the document that names the answer's subject
    named_in: int | None = None  # continued questions: index of the document that has the whole name

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
            ("{e} takes place in {v}.", "{e} is held in {v}.", "{e} fills the streets of {v}.", "{e} goes on in {v}."),
            ("Where is {e} held?", "Where does {e} take place?", "In which city is {e} held?", "Whose streets does {e} fill?"),
        ),
        "host": Attribute(
            "person",
            ("{e} is hosted by {v}.", "{e} is run by {v}.", "{e} has a host named {v}.", "{e} is led by {v}."),
            ("Who hosts {e}?", "Who is the host of {e}?", "Who runs {e}?", "By whom is {e} hosted?"),
        ),
        "month": Attribute(
            "month",
            ("{e} opens in {v}.", "{e} starts in {v}.", "{e} comes each {v}.", "{e} begins in {v}."),
            ("When does {e} open?", "In which month does {e} open?", "When is the start of {e}?", "In which month does {e} start?"),
        ),
    },
}  # fmt: skip

# How a two-hop question speaks of the person that a fact leads to.
HOPS = {
    ("person", "friend"): "the friend of {e}",
    ("company", "founder"): "the founder of {e}",
    ("product", "maker"): "the maker of the {e}",
    ("event", "host"): "the host of {e}",
}


@dataclass(frozen=True)
class Fact:
    kind: str
    attribute: str
    entity: str
    value: str
    phrasing: int  # which of the attribute's statements
    document: int  # index of the document that holds it
    introduced: int  # index of the document that names the entity

    @property
    def described(self) -> Attribute:
        return KINDS[self.kind][self.attribute]

    @property
    def answer(self) -> str:
        return self.described.statements[self.phrasing].format(e=self.entity, v=self.value)

    @property
    def statement(self) -> str:
        """The sentence as it stands in the document."""
        subject = self.entity if self.document == self.introduced else f"{self.entity[:SHORTENED]}."
        return self.described.statements[self.phrasing].format(e=subject, v=self.value)


def make_name(rng: random.Random, stem: str | None = None, ending: str | None = None) -> str:
    return (stem or rng.choice(STEMS)) + (ending or rng.choice(ENDINGS))


def is_held_out(opener: int, question: int) -> bool:
    """Whether training never shows this question behind this opener. Both are indexes: into OPENERS, and into an attribute's questions."""
    return opener > 0 and opener - 1 == question % (len(OPENERS) - 1)


class World:
    """The facts of one example: entities in documents, and people who appear in each other's facts."""

    def __init__(self, rng: random.Random, documents: int, entities: int, held_out: bool, continued: float, shared: str | None, alike: bool):
        self.rng = rng
        self.held_out = held_out
        self.used: set[str] = set()
        self.taken: set[tuple[str, str]] = set()  # initials by kind
        self.stems = [rng.choice([stem for stem in STEMS if stem[0] == each]) for each in rng.sample(INITIALS, entities)] if shared == "stem" else None
        self.ending = rng.choice(ENDINGS) if shared == "ending" else None
        self.kinds = [rng.choice(list(KINDS))] if alike else list(KINDS)
        told = self.shuffled(KINDS[self.kinds[0]]) if alike else None
        self.places = [place for index in range(documents) for place in self.places_of(index, entities)]
        self.people = [name for kind, name, _ in self.places if kind == "person"]
        self.facts: list[Fact] = []
        for at, place in enumerate(self.places):
            of_place = [self.fact(place, attribute) for attribute in told or self.shuffled(KINDS[place[0]])]
            is_last = at + 1 < len(self.places) and self.places[at + 1][2] != place[2]
            if is_last and rng.random() < continued:
                carried = rng.randint(1, 2)
                of_place[-carried:] = [replace(fact, document=place[2] + 1) for fact in of_place[-carried:]]
            self.facts += of_place

    def places_of(self, document: int, entities: int) -> list[tuple[str, str, int]]:
        stems = [None] * entities if self.stems is None else self.shuffled(self.stems)
        return [(kind, self.subject(kind, stem), document) for stem in stems for kind in [self.rng.choice(self.kinds)]]

    def shuffled(self, names) -> list[str]:
        names = list(names)
        self.rng.shuffle(names)
        return names

    def subject(self, kind: str, stem: str | None) -> str:
        """A new name. It has the given stem. Without one it has an initial that no other subject of this kind has, while there are any."""
        free = [each for each in INITIALS if (kind, each) not in self.taken]
        name = self.fresh_name(stem, self.ending)
        while stem is None and free and name[0] not in free:
            name = self.fresh_name(ending=self.ending)
        self.taken.add((kind, name[0]))
        return name

    def fresh_name(self, stem: str | None = None, ending: str | None = None) -> str:
        name = make_name(self.rng, stem, ending)
        while name in self.used:
            name = make_name(self.rng, stem, ending)
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

    def asked(self, fact: Fact, of: str) -> str:
        """A question that the fact answers, behind an opener of training or behind a held-out one."""
        at = self.rng.randrange(len(fact.described.questions))
        opener = self.rng.choice([opener for number, opener in enumerate(OPENERS) if is_held_out(number, at) == self.held_out])
        return f"{opener} {fact.described.questions[at]}".lstrip().format(e=of)

    def one_hop(self) -> list[Question]:
        return [
            Question(self.asked(fact, fact.entity), fact.answer, fact.document, None, fact.introduced if fact.introduced != fact.document else None)
            for fact in self.facts
        ]

    def two_hop(self) -> list[Question]:
        """Questions about a person whom another fact in another document names. Neither fact is abbreviated."""
        whole = [fact for fact in self.facts if fact.document == fact.introduced]
        of_person: dict[str, list[Fact]] = {}
        for fact in whole:
            if fact.kind == "person":
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
    continued: float = 0.0, shared: str | None = None, alike: bool = False,
) -> Example:
    """`documents` texts about `entities` entities each, and up to `questions` different questions over them, all answerable.

    two_hop: share of the questions, 0 to 1, that lead over two documents (fewer where the facts have no such pair).
    held_out: the questions stand behind openers that training never shows with them.
    continued: share of the documents, 0 to 1, that begin with one or two sentences about the subject of the document before. Above 0
        the subjects are alike.
    shared: the part of their names that the subjects have in common. "stem": every document's subjects begin with the same three
        letters, so that an abbreviation says nothing by itself. "ending": all subjects end alike. Without "stem" subjects of one kind
        have different initials, while the alphabet lasts.
    alike: all subjects are of one kind, and the same is told of each in one order.
    """  # fmt: skip
    world = World(rng, documents, entities, held_out, continued, shared, alike or continued > 0)
    texts = [" ".join(fact.statement for fact in world.facts if fact.document == index) for index in range(documents)]
    single, double = world.shuffled(world.one_hop()), world.shuffled(world.two_hop())
    wanted = sum(rng.random() < two_hop for _ in range(questions))
    chosen = double[:wanted]
    chosen += single[: questions - len(chosen)]
    rng.shuffle(chosen)
    return Example(texts, chosen)
