"""Answers in PyTorch as the server gives them: blocks are computed apart and stitched, a final block follows, decoding is greedy.

Prefill runs packed (layout.py). Then every prompt's keys are rotated to their places and laid into an ordinary transformers cache.
Decoding is ordinary causal attention over it. Full attention is the same with all blocks merged into one. It knows token ids and no
texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from transformers import DynamicCache, PreTrainedModel

from .block_attention import NAME, angles, inverse_frequencies, packed_cache, rotate
from .layout import Layout, Segment, build_layout

KeysValues = list[tuple[torch.Tensor, torch.Tensor]]  # per layer, [Hkv, tokens, D]


@dataclass(frozen=True)
class Prompt:
    """Token ids; `final` has at least one."""

    blocks: Sequence[Sequence[int]]
    final: Sequence[int]

    @property
    def tokens(self) -> int:
        return sum(map(len, self.blocks)) + len(self.final)


@contextmanager
def implementation(model: PreTrainedModel, name: str):
    before = model.config._attn_implementation
    model.set_attn_implementation(name)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def prefill(model: PreTrainedModel, sinks: Sequence[int], prompts: Sequence[Prompt], full: bool) -> tuple[torch.Tensor, list[KeysValues]]:
    """@returns logits [prompts, vocab] of each prompt's last token, and each prompt's keys (rotated to their places) and values"""
    segments: list[Segment] = []
    known: dict[tuple[int, ...], int] = {}
    finals: list[int] = []
    for prompt in prompts:
        blocks = [tuple(block) for block in prompt.blocks if len(block)]
        if full and blocks:
            blocks = [tuple(token for block in blocks for token in block)]
        context = []
        for block in blocks:
            if block not in known:
                known[block] = len(segments)
                segments.append(Segment(block))
            context.append(known[block])
        finals.append(len(segments))
        segments.append(Segment(tuple(prompt.final), tuple(context)))
    layout = build_layout(sinks, segments).to(model.device)
    keep = torch.tensor([layout.place(final, len(segments[final].tokens) - 1) for final in finals], device=model.device)
    inv_freq = inverse_frequencies(model)
    with implementation(model, NAME):
        logits, captured = packed_cache(model, layout, keep, inv_freq)
    return logits, [stitch(layout, final, captured, inv_freq) for final in finals]


def stitch(layout: Layout, final: int, captured: KeysValues, inv_freq: torch.Tensor) -> KeysValues:
    """Sinks, context and the segment itself, one behind another. Keys are rotated on by delta_i = p_i - k (arXiv 2409.15355)."""
    index = list(range(layout.sinks))
    delta = [0] * layout.sinks
    moved = 0
    for seen in layout.segments[final].context:
        length = len(layout.segments[seen].tokens)
        index += range(layout.starts[seen], layout.starts[seen] + length)
        delta += [moved] * length
        moved += length
    length = len(layout.segments[final].tokens)
    index += range(layout.starts[final], layout.starts[final] + length)
    delta += [0] * length
    device = captured[0][0].device
    places = torch.tensor(index, device=device)
    cos, sin = angles(torch.tensor(delta, device=device), inv_freq.to(device))
    return [(rotate(key[:, places].float(), cos, sin).to(key.dtype), value[:, places]) for key, value in captured]


@torch.no_grad()
def decode(model: PreTrainedModel, logits: torch.Tensor, caches: list[KeysValues], limit: int, stops: frozenset[int]) -> list[list[int]]:
    """Greedy decoding of all prompts at once; shorter ones are padded on the left. @returns token ids without the stop token, at most `limit`"""
    lengths = [cache[0][0].shape[1] for cache in caches]
    longest, device = max(lengths), logits.device
    cache = DynamicCache()
    for layer in range(len(caches[0])):
        pairs = [each[layer] for each in caches]
        padded = [[torch.nn.functional.pad(part, (0, 0, longest - part.shape[1], 0)) for part in pair] for pair in pairs]
        cache.update(torch.stack([pair[0] for pair in padded]), torch.stack([pair[1] for pair in padded]), layer)
    mask = torch.tensor([[0] * (longest - length) + [1] * length for length in lengths], device=device)
    position = torch.tensor(lengths, device=device)[:, None]
    written: list[list[int]] = [[] for _ in caches]
    going = [True] * len(caches)
    with implementation(model, "sdpa"):
        for _ in range(limit):
            tokens = logits.argmax(-1)
            for at, token in enumerate(tokens.tolist()):
                going[at] = going[at] and token not in stops
                if going[at]:
                    written[at].append(token)
            if not any(going):
                break
            mask = torch.cat((mask, torch.ones_like(mask[:, :1])), dim=1)
            output = model(input_ids=tokens[:, None], attention_mask=mask, position_ids=position, past_key_values=cache, use_cache=True)
            logits = output.logits[:, -1]
            position = position + 1
    return written


def generate(
    model: PreTrainedModel, sinks: Sequence[int], prompts: Sequence[Prompt], full: bool, limit: int, stops: frozenset[int], budget: int = 16384
) -> list[list[int]]:
    """Greedy answers to many prompts, in packs of about `budget` tokens (memory), in the order given."""
    order = sorted(range(len(prompts)), key=lambda at: prompts[at].tokens)
    answers: list[list[int]] = [[] for _ in prompts]
    at = 0
    while at < len(order):
        pack = [order[at]]
        at += 1
        while at < len(order) and (len(pack) + 1) * prompts[order[at]].tokens <= budget:
            pack.append(order[at])
            at += 1
        logits, caches = prefill(model, sinks, [prompts[index] for index in pack], full)
        for index, answer in zip(pack, decode(model, logits, caches, limit, stops), strict=True):
            answers[index] = answer
    return answers
