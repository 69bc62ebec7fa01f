"""Block attention inside any transformers model that takes the attention interface (llama, mistral, qwen2, qwen3).

`packed_logits` runs a model over a Layout. Its attention layers then come here with queries and keys rotated at local positions. There
are three ways to the same result:

    grouped   gathers rows of similar length and calls scaled_dot_product_attention: for CPUs, the cost grows with the blocks
    flex      runs FlexAttention over the packed row with a block mask: for GPUs
    dense     builds the whole 4-D mask: the reference, the cost grows with the square

It knows layouts and models. It does not know losses or data.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch.nn import functional
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from transformers import AttentionInterface, PreTrainedModel

from .layout import Layout, RowGroup

NAME = "blockstitch"
WAYS = ("auto", "grouped", "flex", "dense")
"""Keys up to which two matrix products beat the CPU's flash attention, whose backward pass is slow for short rows (measured:
192 rows of 56 keys 15 against 82 ms; 24 rows of 620 keys 51 against 54 ms; bfloat16, two cores with AMX)."""
SHORT = 256


@dataclass
class Bound:
    """A layout together with what depends on the model: rotations by delta, and masks per sliding window."""

    layout: Layout
    inv_freq: torch.Tensor  # float32 [D/2]
    way: str
    rotations: list[tuple[torch.Tensor, torch.Tensor] | None] = field(default_factory=list)
    masks: dict[object, object] = field(default_factory=dict)
    copies: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None
    """For `flex` and `dense`: index [C] of the keys that are seen in another place than their own, cos and sin [C, D]."""
    captured: list[tuple[torch.Tensor, torch.Tensor]] | None = None
    """If this is a list, each layer appends its keys (local positions) and values, [Hkv, T, D]."""

    def attend(self, query, key, value, scale: float, window: int | None) -> torch.Tensor:
        """query [1, Hq, T, D], key and value [1, Hkv, T, D] -> [1, T, Hq, D]"""
        if self.captured is not None:
            self.captured.append((key[0], value[0]))
        ways = {"grouped": _grouped, "flex": _flex, "dense": _dense}
        return ways[self.way](query, key, value, scale, window, self)


def use_block_attention(model: PreTrainedModel) -> PreTrainedModel:
    """Makes a loaded model take layouts. Its weights stay as they are. It must not be called without a layout."""
    model.set_attn_implementation(NAME)
    return model


def inverse_frequencies(model: PreTrainedModel) -> torch.Tensor:
    """RoPE's inverse frequencies [D/2], float32. @raise ValueError for a scaling that changes with the length"""
    rotary = model.get_decoder().rotary_emb
    if rotary.rope_type in ("dynamic", "longrope"):
        raise ValueError(f"RoPE type {rotary.rope_type!r} changes with the prompt's length: cached keys would not stay valid")
    return rotary.inv_freq.float()


def packed_logits(model: torch.nn.Module, layout: Layout, keep: torch.Tensor, inv_freq: torch.Tensor, way: str = "auto") -> torch.Tensor:
    """
    @param model prepared by use_block_attention, possibly wrapped (FSDP, DDP)
    @param keep  int64 [n]: places in the packed row whose logits are wanted
    @returns logits [n, vocab]
    """
    return packed_pass(model, layout, keep, inv_freq, way, with_states=False)[0]


def packed_pass(
    model: torch.nn.Module, layout: Layout, keep: torch.Tensor, inv_freq: torch.Tensor, way: str, with_states: bool
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """Like packed_logits. It also gives each layer's input [1, T, H] and, last, the final norm's output; nothing without `with_states`."""
    if way == "auto":
        way = "flex" if layout.input_ids.is_cuda else "grouped"
    output = model(
        input_ids=layout.input_ids,
        position_ids=layout.position_ids,
        use_cache=False,
        logits_to_keep=keep,
        output_hidden_states=with_states,
        block_layout=bind(layout, inv_freq, way),
    )
    return output.logits[0], output.hidden_states if with_states else ()


@torch.no_grad()
def packed_cache(
    model: torch.nn.Module, layout: Layout, keep: torch.Tensor, inv_freq: torch.Tensor, way: str = "grouped"
) -> tuple[torch.Tensor, list[tuple[torch.Tensor, torch.Tensor]]]:
    """Like packed_logits. It also gives the keys (rotated at local positions) and values of every layer, [Hkv, T, D] each."""
    bound = bind(layout, inv_freq, way)
    bound.captured = []
    output = model(input_ids=layout.input_ids, position_ids=layout.position_ids, use_cache=False, logits_to_keep=keep, block_layout=bound)
    return output.logits[0], bound.captured


def bind(layout: Layout, inv_freq: torch.Tensor, way: str) -> Bound:
    """@param way one of WAYS but "auto" """
    bound = Bound(layout, inv_freq.to(layout.input_ids.device), way)
    if way == "grouped":
        bound.rotations = [None if group.delta is None else angles(group.delta, bound.inv_freq) for group in layout.groups]
    else:
        bound.copies = _copies(layout, bound.inv_freq)
    return bound


def rotate(keys: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotates keys [..., D] on, by angles whose cos and sin are [..., R], R <= D (half-split RoPE)."""
    width = cos.shape[-1]
    turned, rest = keys[..., :width], keys[..., width:]
    half = width // 2
    swapped = torch.cat((-turned[..., half:], turned[..., :half]), dim=-1)
    turned = turned * cos + swapped * sin
    return turned if rest.shape[-1] == 0 else torch.cat((turned, rest), dim=-1)


def angles(delta: torch.Tensor, inv_freq: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """cos and sin [..., 2 * len(inv_freq)] of a turn by `delta` positions."""
    angle = delta[..., None].float() * inv_freq
    angle = torch.cat((angle, angle), dim=-1)
    return angle.cos(), angle.sin()


@torch.compiler.disable  # layouts differ from step to step
def _attend(module, query, key, value, attention_mask, scaling=None, dropout=0.0, sliding_window=None, block_layout=None, **_):
    """The attention interface of transformers. `block_layout` (a Bound, or anything with its `attend`) says which token sees which."""
    if block_layout is None:
        raise TypeError("this model was prepared for layouts: call packed_logits, or set another attention implementation")
    # Under autocast rotary embeddings leave float32 queries and keys beside low-precision values.
    query, key = query.to(value.dtype), key.to(value.dtype)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return block_layout.attend(query, key, value, scale, sliding_window), None


AttentionInterface.register(NAME, _attend)


def _grouped(query, key, value, scale, window, bound: Bound) -> torch.Tensor:
    layout = bound.layout
    heads, kv_heads, width = query.shape[1], key.shape[1], query.shape[-1]
    query, key, value = (part[0].transpose(0, 1) for part in (query, key, value))  # [T, heads, D]
    outputs = []
    for index, group in enumerate(layout.groups):
        rows, queries = group.query.shape
        keys = group.key.shape[1]
        q = _rows(query, group.query)
        k = _rows(key, group.key)
        v = _rows(value, group.key)
        if bound.rotations[index] is not None:
            cos, sin = bound.rotations[index]
            k = rotate(k.float(), cos[:, :, None], sin[:, :, None]).to(k.dtype)
        mask = _group_mask(bound, index, group, window, q.dtype)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        if q.requires_grad and not q.is_cuda and keys <= SHORT:
            out = _short(q, k, v, _causal(bound, index, group, q.dtype) if mask is None else mask, scale)
        else:
            causal = mask is None and keys > 1
            out = functional.scaled_dot_product_attention(q, k, v, mask, is_causal=causal, scale=scale, enable_gqa=heads != kv_heads)
        outputs.append(out.transpose(1, 2).reshape(rows * queries, heads * width))
    laid = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    return laid.index_select(0, layout.unpack).view(1, layout.tokens, heads, width)


def _short(q, k, v, mask, scale: float) -> torch.Tensor:
    """Attention by two matrix products; q [rows, Hq, Lq, D], k and v [rows, Hkv, Lk, D], additive mask [rows, 1, Lq, Lk]."""
    rows, heads, queries, width = q.shape
    kv_heads = k.shape[1]
    scores = torch.matmul(q.reshape(rows, kv_heads, -1, width) * scale, k.transpose(2, 3))
    weights = (scores.view(rows, kv_heads, heads // kv_heads, queries, -1) + mask[:, :, None]).softmax(-1)
    return torch.matmul(weights.view(rows, kv_heads, -1, k.shape[2]), v).view(rows, heads, queries, width)


def _causal(bound: Bound, index: int, group: RowGroup, dtype: torch.dtype) -> torch.Tensor:
    name = (index, "causal", dtype)
    if name not in bound.masks:
        hidden = group.distance < 0
        hidden[..., 0] = False  # padded queries must see something
        floor = torch.finfo(dtype).min
        bound.masks[name] = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, floor)[:, None]
    return bound.masks[name]


def _rows(packed: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """packed [T, heads, D] -> [rows, L, heads, D]"""
    return packed.index_select(0, index.flatten()).view(*index.shape, *packed.shape[1:])


def _group_mask(bound: Bound, index: int, group: RowGroup, window: int | None, dtype: torch.dtype) -> torch.Tensor | None:
    """Additive mask [rows, 1, Lq, Lk], made once per forward pass. None means plain causal attention."""
    if group.visible is None and window is None:
        return None
    name = (index, window, dtype)
    if name not in bound.masks:
        seen = group.distance >= 0 if group.visible is None else group.visible
        if window is not None:
            seen = seen & (group.distance < window)
            # Padded queries and keys have made-up distances; a row that sees nothing would give NaN.
            seen = seen | (~seen.any(-1, keepdim=True))
        additive = torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, torch.finfo(dtype).min)
        bound.masks[name] = additive[:, None]
    return bound.masks[name]


def _copies(layout: Layout, inv_freq: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Lays the keys of contexts, rotated to their places, behind the packed row. Each context that sees a key has its own copy."""
    contexts = dict.fromkeys(segment.context for segment in layout.segments if segment.context)
    index: list[int] = []
    delta: list[int] = []
    for context in contexts:
        moved = 0
        for seen in context:
            length = len(layout.segments[seen].tokens)
            index.extend(range(layout.starts[seen], layout.starts[seen] + length))
            delta.extend([moved] * length)
            moved += length
    device = layout.input_ids.device
    cos, sin = angles(torch.tensor(delta, device=device), inv_freq)
    return torch.tensor(index, dtype=torch.int64, device=device), cos, sin


@dataclass
class Relation:
    """What decides whether packed query q sees extended key kv: the packed row's T keys, then the C copies."""

    query_segment: torch.Tensor  # int64 [T]; -1 for sinks
    query_context: torch.Tensor  # int64 [T]; -1 without context
    query_position: torch.Tensor  # int64 [T]
    key_segment: torch.Tensor  # int64 [T + C]; -1 for sinks, -2 for copies
    key_context: torch.Tensor  # int64 [T + C]; the context a copy belongs to, -2 for the packed row's own keys
    key_position: torch.Tensor  # int64 [T + C]

    def sees(self, q, kv, window: int | None):
        """Elementwise over broadcastable index tensors."""
        distance = self.query_position[q] - self.key_position[kv]
        own = (self.query_segment[q] == self.key_segment[kv]) & (distance >= 0)
        # A sink query has segment -1, as sink keys have, so `own` covers it. Other queries see all sinks.
        sink = (self.key_segment[kv] == -1) & (self.query_segment[q] != -1)
        seen = own | sink | (self.query_context[q] == self.key_context[kv])
        return seen if window is None else seen & (distance < window)


def relation(layout: Layout) -> Relation:
    contexts = {context: at for at, context in enumerate(dict.fromkeys(s.context for s in layout.segments if s.context))}
    query_segment, query_context = [-1] * layout.sinks, [-1] * layout.sinks
    for at, segment in enumerate(layout.segments):
        query_segment += [at] * len(segment.tokens)
        query_context += [contexts.get(segment.context, -1)] * len(segment.tokens)
    position = layout.position_ids[0].tolist()
    key_segment, key_context, key_position = list(query_segment), [-2] * len(query_segment), list(position)
    for context, at in contexts.items():
        place = layout.sinks
        for seen in context:
            length = len(layout.segments[seen].tokens)
            key_segment += [-2] * length
            key_context += [at] * length
            key_position += range(place, place + length)
            place += length
    device = layout.input_ids.device
    parts = (query_segment, query_context, position, key_segment, key_context, key_position)
    return Relation(*(torch.tensor(part, device=device) for part in parts))


def visible(layout: Layout, window: int | None = None) -> torch.Tensor:
    """Bool [T, T + C]: the mask that `flex` and `dense` apply."""
    related = relation(layout)
    device = layout.input_ids.device
    queries = torch.arange(len(related.query_segment), device=device)
    keys = torch.arange(len(related.key_segment), device=device)
    return related.sees(queries[:, None], keys[None, :], window)


def _extended(key: torch.Tensor, value: torch.Tensor, bound: Bound) -> tuple[torch.Tensor, torch.Tensor]:
    index, cos, sin = bound.copies
    moved = rotate(key[:, :, index].float(), cos, sin).to(key.dtype)
    return torch.cat((key, moved), dim=2), torch.cat((value, value[:, :, index]), dim=2)


def _dense(query, key, value, scale, window, bound: Bound) -> torch.Tensor:
    if window not in bound.masks:
        seen = visible(bound.layout, window)
        floor = torch.finfo(query.dtype).min
        bound.masks[window] = torch.zeros(seen.shape, dtype=query.dtype, device=seen.device).masked_fill_(~seen, floor)[None, None]
    key, value = _extended(key, value, bound)
    gqa = query.shape[1] != key.shape[1]
    out = functional.scaled_dot_product_attention(query, key, value, attn_mask=bound.masks[window], scale=scale, enable_gqa=gqa)
    return out.transpose(1, 2)


_compiled_flex = None


def _flex(query, key, value, scale, window, bound: Bound) -> torch.Tensor:
    global _compiled_flex
    key, value = _extended(key, value, bound)
    on_gpu = query.is_cuda
    if window not in bound.masks:
        related = relation(bound.layout)
        bound.masks[window] = create_block_mask(
            lambda b, h, q, kv: related.sees(q, kv, window), None, None, query.shape[2], key.shape[2], device=query.device, _compile=on_gpu
        )
    attend = flex_attention
    if on_gpu:
        _compiled_flex = _compiled_flex or torch.compile(flex_attention, dynamic=True)
        attend = _compiled_flex
    out = attend(query, key, value, block_mask=bound.masks[window], scale=scale, enable_gqa=query.shape[1] != key.shape[1])
    return out.transpose(1, 2)
