"""Block dropout: earlier blocks are hidden at random, and any block may be drawn to act as a final block.

The abstract of arXiv 2605.15913 says that dropout leverages the training signals of all blocks. The rest is this project's reading of
it. For an example with blocks b_1..b_n and final blocks f over them:

    z_i ~ Bernoulli(1 - p)            b_i stays in the example if z_i = 1 (teacher and student alike: both see the same text); blocks of
                                      the chat template always stay
    d_i ~ Bernoulli(q)   (i > 1)      a block that stayed also acts as a final block: it is computed a second time, seeing the
                                      sinks and every earlier block that stayed, and its tokens are trained like an answer's

Without dropout only final blocks are trained, in contexts that always have all their blocks. A final block whose needed blocks were
hidden is left out. One final block, drawn at random, keeps what it needs, so that no example is empty. Off: p = q = 0.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from .examples import Example, Final


@dataclass(frozen=True)
class Drawn:
    """An example as one step sees it. `acting` holds indexes into its blocks, each > 0."""

    example: Example
    acting: tuple[int, ...] = ()


def draw(example: Example, hide: float, act: float, rng: random.Random) -> Drawn:
    """@param hide p of the formula, 0..1; @param act q of the formula, 0..1"""
    if hide == 0 and act == 0:
        return Drawn(example)
    kept = list(range(len(example.blocks)))
    finals = example.finals
    if hide > 0:
        spared = example.framing | (rng.choice(finals).needs if finals else frozenset())
        kept = [index for index in kept if rng.random() >= hide or index in spared]
        staying = frozenset(kept)
        finals = tuple(final for final in finals if final.needs <= staying)
    acting = tuple(place for place in range(1, len(kept)) if rng.random() < act)
    places = {index: place for place, index in enumerate(kept)}

    def moved(blocks: frozenset[int]) -> frozenset[int]:
        return frozenset(places[index] for index in blocks)

    finals = tuple(Final(final.tokens, final.trained, moved(final.needs)) for final in finals)
    return Drawn(Example(tuple(example.blocks[index] for index in kept), finals, moved(example.framing)), acting)
