"""How a written talk looks: with or without names, in which case, with punctuation apart or not. Drawn once an instance."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from .speech import Convention, draw_speakers, write

PLAIN = Convention(0.0, 0.0, (), 0.0, spaced=False, lower=False, stops=True)
#: Names for the two sides of a service.
SIDES = (
    ("User", "System"), ("U", "S"), ("Customer", "Agent"), ("user", "assistant"), ("USER", "SYSTEM"), ("Q", "A"), ("Human", "AI"), ("Caller", "Operator"),
    ("A", "B"), ("Speaker 1", "Speaker 2"), ("Client", "Support"), ("Guest", "Bot"), ("driver", "assistant"),
)  # fmt: skip


@dataclass(frozen=True)
class TalkLook:
    """names: of the speakers in the order in which they first speak; none for bare lines. form: of a named line. joined: marks of
    tokenized text are taken back before the convention applies."""

    names: tuple[str, ...] = ()
    form: str = "{name}: {text}"
    convention: Convention = field(default=PLAIN)
    joined: bool = False
    as_it_is: bool = True

    def line(self, name: str, text: str) -> str:
        if self.joined:
            text = joined(text)
        if not self.as_it_is:
            text = write(text, self.convention)
        return self.form.format(name=name, text=text) if name else text

    def lines(self, rng: random.Random, turns: Sequence[tuple[str, str]]) -> list[str]:
        """turns: (speaker, text). Each speaker keeps a name. The first to speak has the first name of the look."""
        known: dict[str, str] = {}
        for speaker, _ in turns:
            if self.names and speaker not in known:
                known[speaker] = self.names[len(known) % len(self.names)]
        return [self.line(known.get(speaker, ""), text) for speaker, text in turns]


def joined(text: str) -> str:
    """Tokenized text as people write it: no spaces before marks and inside contractions."""
    text = re.sub(r"\s+([.,!?;:])", r"\1", text)
    text = re.sub(r"\s+('(?:s|m|re|ve|ll|d|t)|n't)\b", r"\1", text)
    return re.sub(r"(?<=\w) - (?=\w)", "-", text)


def draw_look(rng: random.Random, speakers: int, bare: float = 0.55) -> TalkLook:
    convention = Convention(0.0, 0.0, (), 0.0, spaced=rng.random() < 0.25, lower=rng.random() < 0.35, stops=rng.random() < 0.85)
    names: tuple[str, ...] = ()
    if rng.random() >= bare:
        names = rng.choice(SIDES) if speakers == 2 and rng.random() < 0.6 else tuple(draw_speakers(rng, speakers))
    form = rng.choices(("{name}: {text}", "<{name}> {text}", "{name} : {text}"), (0.8, 0.1, 0.1))[0]
    return TalkLook(names, form, convention, rng.random() < 0.4, as_it_is=rng.random() < 0.3)
