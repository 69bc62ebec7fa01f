"""The curriculum of the demo model: which contexts it reads and which questions it is asked, stage by stage.

In most contexts documents go on where the one before was cut, and all subjects share a stem. The meaning of an abbreviation then has
to be taken from the text before. Full attention can do that, and a block read by itself cannot. In most of the other contexts all
subjects end alike, so that names are read by their stems too. It knows no tokens and no models.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from .question_generator import Example, make_example

BY_STEM = 0.75  # share of the contexts of whole documents in which only the stems tell the subjects apart


@dataclass(frozen=True)
class Stage:
    documents: tuple[int, int]  # fewest, most
    entities: int  # per document, at most
    questions: int
    two_hop: float
    continued: float = 0.0  # share of the contexts in which documents go on where the one before was cut

    def example(self, rng: random.Random, documents: int, entities: int) -> Example:
        """One context. It has more questions where it has more documents."""
        questions = max(4, self.questions * documents // self.documents[1])
        cut = rng.random() < self.continued
        by_stem = not cut and rng.random() < BY_STEM
        shared = "stem" if cut else "ending" if by_stem else None
        alike = by_stem and rng.random() < 0.75
        return make_example(rng, documents, questions, entities, self.two_hop, continued=0.8 if cut else 0.0, shared=shared, alike=alike)


STAGES = (
    Stage((1, 2), 1, 8, 0.0),
    Stage((1, 4), 1, 14, 0.1, 0.6),
    Stage((2, 8), 1, 28, 0.15, 0.6),
    Stage((2, 12), 2, 44, 0.2, 0.6),
    Stage((4, 32), 2, 64, 0.2, 0.6),
)
