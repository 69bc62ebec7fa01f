"""Packed layouts against the plain definition of block attention, for every family and every way to compute it."""

import pytest
import torch
from make_checkpoints import SINKS, block_logits, checkpoints, full_logits, plan_tokens, randomize
from transformers import AutoModelForCausalLM

from blockstitch_training.distill.block_attention import inverse_frequencies, packed_logits, use_block_attention, visible
from blockstitch_training.distill.layout import Segment, build_layout

NAMES = ("llama-tied-llama3", "llama-linear-sharded", "mistral-window", "qwen2-yarn", "qwen3-norm", "qwen3-upper-window")
CASES = {each.name: (seed, each) for seed, each in enumerate(checkpoints())}


def model_of(name):
    seed, case = CASES[name]
    model = AutoModelForCausalLM.from_config(case.config, attn_implementation="eager").eval()
    randomize(model, seed)
    return model, *plan_tokens(seed)


@pytest.mark.parametrize(("way", "name"), [
    *(("grouped", name) for name in NAMES), *(("dense", name) for name in NAMES), ("flex", "llama-tied-llama3"), ("flex", "mistral-window"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_a_packed_forward_equals_one_forward_with_a_4d_mask_per_prompt(name, way):
    model, blocks, final = model_of(name)
    order = (3, 0, 4, 2, 1)
    wanted = [block_logits(model, blocks, final), block_logits(model, [blocks[at] for at in order], final), full_logits(model, blocks, final)[-len(final) :]]
    use_block_attention(model)
    segments = [*map(Segment, blocks), Segment(final, (0, 1, 2, 3, 4)), Segment(final, order), Segment(sum(blocks, [])), Segment(final, (7,))]
    layout = build_layout(SINKS, segments)
    with torch.no_grad():
        logits = packed_logits(model, layout, torch.arange(layout.tokens), inverse_frequencies(model), way)
    for segment, expected in zip((5, 6, 8), wanted, strict=True):
        start = layout.starts[segment]
        torch.testing.assert_close(logits[start : start + len(final)], expected, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("window", [None, 6])
def test_the_mask_is_the_one_that_a_loop_over_tokens_gives(window):
    contexts = [(), (), (), (0, 2), (2, 0, 1), (0, 2)]
    lengths = [3, 5, 2, 4, 3, 2]
    sinks = 2
    layout = build_layout([0] * sinks, [Segment([1] * length, context) for length, context in zip(lengths, contexts, strict=True)])
    # Packed keys, then for every distinct context its blocks at their places.
    keys = [("sink", at, at) for at in range(sinks)]
    keys += [("own", segment, layout.positions[segment] + at) for segment, length in enumerate(lengths) for at in range(length)]
    for context in dict.fromkeys(filter(None, contexts)):
        place = sinks
        for seen in context:
            keys += [("placed", context, place + at) for at in range(lengths[seen])]
            place += lengths[seen]
    queries = keys[: layout.tokens]
    expected = torch.zeros(len(queries), len(keys), dtype=torch.bool)
    for row, (kind, name, position) in enumerate(queries):
        for column, (key_kind, key_name, key_position) in enumerate(keys):
            if kind == "sink":
                seen = key_kind == "sink" and key_position <= position
            elif key_kind == "sink":
                seen = True
            elif key_kind == "own":
                seen = key_name == name and key_position <= position
            else:
                seen = contexts[name] == key_name
            expected[row, column] = seen and (window is None or position - key_position < window)
    assert torch.equal(visible(layout, window), expected)


def test_gradients_of_grouped_rows_equal_those_of_the_whole_mask():
    model, blocks, final = model_of("llama-tied-llama3")
    use_block_attention(model)
    layout = build_layout(SINKS, [*map(Segment, blocks), Segment(final, (1, 0, 3)), Segment(final, (2, 4))])
    gradients = {}
    for way in ("grouped", "dense"):
        model.zero_grad()
        logits = packed_logits(model, layout, torch.arange(layout.tokens), inverse_frequencies(model), way)
        logits.logsumexp(-1).sum().backward()
        gradients[way] = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    for name, gradient in gradients["grouped"].items():
        torch.testing.assert_close(gradient, gradients["dense"][name], rtol=1e-3, atol=2e-3)


def test_cost_grows_with_the_blocks_and_not_with_the_prompts_that_use_them():
    blocks = [Segment([1] * 50) for _ in range(10)]
    layout = build_layout([0], [*blocks, *(Segment([1] * 5, tuple(range(10))) for _ in range(20))])
    assert layout.tokens == 1 + 10 * 50 + 20 * 5
    scores = sum(group.query.shape[0] * group.query.shape[1] * group.key.shape[1] for group in layout.groups)
    assert scores == 10 * 51 * 51 + 100 * (1 + 500 + 100)


def test_a_context_of_a_context_and_an_empty_segment_are_refused():
    with pytest.raises(ValueError, match="context that has a context"):
        build_layout([0], [Segment([1]), Segment([1], (0,)), Segment([1], (1,))])
    with pytest.raises(ValueError, match="no tokens"):
        build_layout([0], [Segment([])])
