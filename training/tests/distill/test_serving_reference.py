"""Stitched and repaired prompts in PyTorch, against plain forward passes."""

import pytest
import torch
from make_checkpoints import SINKS, block_logits, checkpoints, full_logits, plan_tokens, randomize
from transformers import AutoModelForCausalLM

from blockstitch_training.distill.repaired_prefill import Repair, first_pages, repaired
from blockstitch_training.distill.stitched_generation import Prompt, generate, prefill

CASES = {each.name: (seed, each) for seed, each in enumerate(checkpoints())}


@pytest.fixture(params=["llama-tied-llama3", "mistral-window", "qwen3-norm"])
def case(request):
    seed, made = CASES[request.param]
    model = AutoModelForCausalLM.from_config(made.config, attn_implementation="sdpa").eval()
    randomize(model, seed)
    return model, *plan_tokens(seed)


def close(left, right):
    torch.testing.assert_close(left, right, rtol=1e-3, atol=2e-4)


def test_repair_goes_from_plain_stitching_to_exactly_full_attention(case):
    model, blocks, final = case
    prompt = Prompt(blocks, final)
    plain, full = block_logits(model, blocks, final)[-1], full_logits(model, blocks, final)[-1]
    for by in ("first", "deviation"):
        close(repaired(model, SINKS, prompt, Repair(0.0, by))[0], plain)
        close(repaired(model, SINKS, prompt, Repair(1.0, by))[0], full)
        near = repaired(model, SINKS, prompt, Repair(0.8, by, page=4))[0]
        assert (near - full).abs().mean() < (plain - full).abs().mean()


def test_greedy_answers_from_stitched_blocks_are_those_of_masked_forward_passes(case):
    model, blocks, final = case
    prompts = [Prompt(blocks, final), Prompt(blocks[:2], final[:3])]

    def masked(prompt, count, logits_of):
        written = []
        for _ in range(count):
            written.append(int(logits_of(model, list(prompt.blocks), [*prompt.final, *written])[-1].argmax()))
        return written

    assert generate(model, SINKS, prompts, False, 4, frozenset()) == [masked(each, 4, block_logits) for each in prompts]
    assert generate(model, SINKS, prompts, True, 4, frozenset()) == [masked(each, 4, full_logits) for each in prompts]


def test_generation_ends_at_a_stop_token_that_is_left_out(case):
    model, blocks, final = case
    prompt = Prompt(blocks, final)
    (whole,) = generate(model, SINKS, [prompt], False, 4, frozenset())
    assert generate(model, SINKS, [prompt], False, 4, frozenset([whole[2]]))[0] == whole[: whole.index(whole[2])]


def test_equal_blocks_are_computed_once_and_stand_wherever_they_are_asked_for(case):
    model, blocks, final = case
    logits, _ = prefill(model, SINKS, [Prompt([blocks[0], blocks[1], blocks[0]], final)], full=False)
    close(logits[0], block_logits(model, [blocks[0], blocks[1], blocks[0]], final)[-1])


def test_the_repair_budget_is_whole_pages_spread_over_all_but_the_first_block():
    assert first_pages([40, 16, 16, 16, 16], Repair(0.25)) == [[], [0], [], [], []]
    assert first_pages([16, 64, 8], Repair(0.5)) == [[], [0, 1], [0]]
    assert first_pages([16, 64, 8], Repair(1.0)) == [[], [0, 1, 2, 3], [0]]
    with pytest.raises(ValueError, match="share"):
        Repair(1.5)
