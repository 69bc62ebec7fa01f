"""Block sink tokens: k learned tokens at the front of every prompt, seen by every block and every final block; or at blocks' edges.

    prompt = [base sinks][s_1 .. s_k][block 1]..[block n][final block]
    KV(block i) is computed behind [base sinks][s_1 .. s_k] at positions 0..b+k-1, whatever stands before block i

"To mitigate information loss at block boundaries" can also mean tokens at each block's start or end. Those are part of the block, so of
its KV: `around`. The same ones stand around every block, under both attentions.

    block i = [t_1 .. t_m] text [u_1 .. u_n]

Sink j starts as the embedding of a token drawn from the vocabulary, control tokens left out ("sampled vocabulary" of arXiv 2104.08691, section
3.2). It is a word like others at first. A copy of BOS is not: every token rests attention on it from the first step on, and the student
loses by it. Sinks are learned with all other weights; in a low-rank student at a rate of their own (`sink_rate`).

The first tokens of a block can rest their attention on the sinks, as they rested it on earlier text before (information lost at block
boundaries, arXiv 2605.15913). The base sinks are those that the server would use for the undistilled checkpoint: its
`block_attention.sink_token_ids`, else BOS, else none. Off: with k = 0 only the base sinks are there.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count as counter
from itertools import islice

import torch
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Edges:
    """Ids of the sink tokens at the edges of every block; none by default."""

    start: tuple[int, ...] = ()
    end: tuple[int, ...] = ()

    def around(self, block: Sequence[int]) -> tuple[int, ...]:
        return (*self.start, *block, *self.end)

    @staticmethod
    def of(section: Mapping | None) -> Edges:
        """@param section `block_attention` of a config.json, or an adapter's block_attention.json"""
        start, end = ((section or {}).get(f"block_{edge}_token_ids") or () for edge in ("start", "end"))
        return Edges(tuple(map(int, start)), tuple(map(int, end)))


NO_EDGES = Edges()


def attention_section(mode: str, front: Sequence[int], edges: Edges = NO_EDGES) -> dict:
    """What a checkpoint says of its sinks: `block_attention` of config.json. @param mode attention of requests that name none"""
    section: dict = {"mode": mode, "sink_token_ids": [int(token) for token in front]}
    for edge, ids in (("start", edges.start), ("end", edges.end)):
        if ids:
            section[f"block_{edge}_token_ids"] = list(ids)
    return section


def base_sinks(config: PretrainedConfig) -> list[int]:
    """Sink ids of a checkpoint as the server reads them from config.json."""
    section = getattr(config, "block_attention", None)
    if section:
        return [int(token) for token in section.get("sink_token_ids", [])]
    bos = config.bos_token_id
    return [] if bos is None else [int(bos)]


def block_edges(config: PretrainedConfig) -> Edges:
    """Sink ids at the edges of blocks, as config.json has them."""
    return Edges.of(getattr(config, "block_attention", None))


def sink_name(index: int) -> str:
    return f"<|sink_{index}|>"


def add_sink_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, count: int, seed: int) -> list[int]:
    """
    Adds `count` tokens to the tokenizer and, where the matrix has no spare rows, to the embeddings. Sink tokens that an earlier
    distillation left in the tokenizer stay as they are. The new ones take the next free names.

    @returns all sink ids: the checkpoint's own, then the new ones
    @raise ValueError for more sinks than the vocabulary has words to begin with
    """
    base = base_sinks(model.config)
    if count == 0:
        return base
    known_tokens = tokenizer.get_vocab()
    names = list(islice((name for name in map(sink_name, counter()) if name not in known_tokens), count))
    tokenizer.add_special_tokens({"extra_special_tokens": names}, replace_extra_special_tokens=False)
    added = [int(token) for token in tokenizer.convert_tokens_to_ids(names)]
    special = set(tokenizer.all_special_ids)
    words = [token for token in range(min(added)) if token not in special]
    drawn = random.Random(seed).sample(words, count)
    rows = model.get_input_embeddings().weight.shape[0]
    if max(added) >= rows:
        model.resize_token_embeddings(max(added) + 1, mean_resizing=False)
    with torch.no_grad():
        matrix = model.get_input_embeddings().weight
        matrix[added] = matrix[drawn]
        head = model.get_output_embeddings().weight
        if head.data_ptr() != matrix.data_ptr():
            # No text contains a sink token: its output row starts as the mean, and the loss pushes it down.
            head[added] = head[: min(added)].float().mean(0).to(head.dtype)
    return base + added
