"""Repair of stitched blocks at serving time: a share r of the cached tokens is computed again, in context.

This is the PyTorch reference of what the server does for `attention: {"mode": "block", "repair": r}` (src/engine/repair). The idea is
CacheBlend's (arXiv 2405.16444): recomputing few tokens brings back most of what blocks lost. The first block stands right behind the
sinks and needs no repair. Of the T tokens of the later blocks, ceil(r T / page) whole pages are computed again:

    first       the pages that begin the blocks, where the missing context hurts most; no layer runs over all tokens
    deviation   the pages with the largest sum of |V_new - V_cached|^2 in the second layer: layer 0 runs over all tokens for it

From then on only chosen tokens and the final block have rows. Their keys and values replace the cached ones of every layer, so each
row attends causally over the mix. r = 0 is plain stitching. r = 1 recomputes everything and equals full attention.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from .block_attention import NAME
from .stitched_generation import KeysValues, Prompt, implementation, prefill

CHOICES = ("first", "deviation")
PROBE = 1  # layer whose values are compared; layer 0 has seen no other token yet


@dataclass(frozen=True)
class Repair:
    share: float  # r, 0..1
    by: str = "first"  # one of CHOICES
    page: int = 16  # tokens; the server's KV pages

    def __post_init__(self):
        if not 0 <= self.share <= 1 or self.by not in CHOICES:
            raise ValueError(f"a repair needs a share of 0 to 1 and one of {', '.join(CHOICES)}")


@dataclass
class _Rows:
    """One prompt of S tokens. The rows `active` are computed. It stands where a Bound stands in block_attention.py."""

    active: torch.Tensor  # int64 [n], ascending
    cached: KeysValues  # [Hkv, S, D] per layer; rows of the final block are filled as they are computed
    layer: int = 0

    def attend(self, query, key, value, scale: float, window: int | None) -> torch.Tensor:
        keys, values = (part.clone() for part in self.cached[self.layer])
        keys[:, self.active], values[:, self.active] = key[0].to(keys.dtype), value[0].to(values.dtype)
        self.cached[self.layer] = (keys, values)
        places = torch.arange(keys.shape[1], device=query.device)
        distance = self.active[:, None] - places[None, :]
        seen = distance >= 0 if window is None else (distance >= 0) & (distance < window)
        gqa = query.shape[1] != key.shape[1]
        out = functional.scaled_dot_product_attention(query, keys[None], values[None], attn_mask=seen, scale=scale, enable_gqa=gqa)
        return out.transpose(1, 2)


@torch.no_grad()
def repaired(model: PreTrainedModel, sinks: Sequence[int], prompt: Prompt, repair: Repair) -> tuple[torch.Tensor, KeysValues]:
    """@returns logits [vocab] of the last token and the mixed keys and values, to decode from"""
    _, (cached,) = prefill(model, sinks, [prompt], full=False)
    ids = torch.tensor([*sinks, *(token for block in prompt.blocks for token in block), *prompt.final], device=model.device)
    final_at = len(ids) - len(prompt.final)
    decoder = model.get_decoder()
    hidden = decoder.embed_tokens(ids)[None]
    cos, sin = decoder.rotary_emb(hidden, torch.arange(len(ids), device=model.device)[None])
    final = list(range(final_at, len(ids)))
    lengths = [len(block) for block in prompt.blocks]
    starts = [len(sinks) + sum(lengths[:at]) for at in range(len(lengths))]
    probing = repair.by == "deviation" and 0 < repair.share < 1
    if probing or repair.share == 1:
        chosen = list(range(len(ids)))
    else:
        chosen = _tokens(first_pages(lengths, repair), lengths, starts, repair.page) + final
    rows = _Rows(torch.tensor(chosen, device=model.device), list(cached))
    hidden = hidden[:, rows.active]
    with implementation(model, NAME):
        for at, layer in enumerate(decoder.layers):
            rows.layer = at
            if probing and at == PROBE:
                deviation = (_values(layer, hidden, (cos, sin)) - cached[at][1]).pow(2).sum((0, 2))
                chosen = _tokens(_most_deviating(deviation, lengths, starts, repair), lengths, starts, repair.page) + final
                rows.active = torch.tensor(chosen, device=model.device)
                hidden = hidden[:, rows.active]
            active = rows.active
            hidden = layer(hidden, position_embeddings=(cos[:, active], sin[:, active]), block_layout=rows)
    logits = model.get_output_embeddings()(decoder.norm(hidden[:, -1]))[0]
    return logits, rows.cached


def first_pages(lengths: Sequence[int], repair: Repair) -> list[list[int]]:
    """The pages that begin each block. The first b blocks together get ceil(r * their tokens / page) pages."""
    tokens = spent = 0
    chosen: list[list[int]] = [[]] if lengths else []
    for length in lengths[1:]:
        tokens += length
        due = math.ceil(repair.share * tokens / repair.page - 1e-9) - spent
        pages = max(0, min(due, math.ceil(length / repair.page)))
        spent += pages
        chosen.append(list(range(pages)))
    return chosen


def _most_deviating(deviation: torch.Tensor, lengths: Sequence[int], starts: Sequence[int], repair: Repair) -> list[list[int]]:
    """@param deviation [S], of every token of the prompt"""
    budget = sum(map(len, first_pages(lengths, repair)))
    scored = []
    for block, length in enumerate(lengths):
        for page in range(math.ceil(length / repair.page) if block > 0 else 0):
            start = starts[block] + page * repair.page
            end = min(start + repair.page, starts[block] + length)
            scored.append((float(deviation[start:end].sum()), -block, -page))
    chosen: list[list[int]] = [[] for _ in lengths]
    for _, block, page in sorted(scored, reverse=True)[:budget]:
        chosen[-block].append(-page)
    return [sorted(pages) for pages in chosen]


def _tokens(pages: list[list[int]], lengths: Sequence[int], starts: Sequence[int], page_tokens: int) -> list[int]:
    """Places in the prompt of the chosen pages' tokens, ascending."""
    return [
        starts[block] + at
        for block, chosen in enumerate(pages)
        for page in chosen
        for at in range(page * page_tokens, min((page + 1) * page_tokens, lengths[block]))
    ]


class _Taken(Exception):
    """Ends a layer once its values are known."""


def _values(layer: torch.nn.Module, hidden: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Values [Hkv, S, D] that a layer makes of hidden [1, S, H]."""
    taken: list[torch.Tensor] = []

    class Taker:
        def attend(self, query, key, value, scale, window):
            taken.append(value[0])
            raise _Taken

    try:
        layer(hidden, position_embeddings=rotary, block_layout=Taker())
    except _Taken:
        pass
    return taken[0]
