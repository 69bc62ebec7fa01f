"""Scores the demo model on fresh held-out questions: exact answers, greedy, under full or block attention.

Block attention here is a 4-D mask over the whole prompt. That is the reference and not the fast way.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from transformers import LlamaForCausalLM

from .demo_prompts import Prompts
from .question_sets import generated

LONGEST_ANSWER = 24  # tokens


def block_mask(lengths: list[int], final: int) -> torch.Tensor:
    """[T, T] bool. The sink is at 0. Blocks of `lengths` see the sink and themselves. The `final` tokens see all."""
    groups = torch.tensor([0] + [index + 1 for index, length in enumerate(lengths) for _ in range(length)] + [-1] * final)
    causal = torch.ones(len(groups), len(groups), dtype=torch.bool).tril()
    return causal & ((groups[:, None] == groups[None, :]) | (groups[None, :] == 0) | (groups[:, None] == -1))


@torch.no_grad()
def answer(model: LlamaForCausalLM, prompts: Prompts, documents: list[str], question: str, attention: str) -> str:
    """Greedy answer of at most LONGEST_ANSWER tokens; `attention` is "full" or "block"."""
    blocks = prompts.blocks(documents)
    final = prompts.final(question)
    ids = [prompts.bos] + [token for block in blocks for token in block] + final
    mask = None
    if attention == "block":
        allowed = block_mask([len(block) for block in blocks], len(final))
        mask = torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min)[None, None]
    output = model(torch.tensor([ids]), attention_mask=mask, use_cache=True)
    written: list[int] = []
    while len(written) < LONGEST_ANSWER:
        token = int(output.logits[0, -1].argmax())
        if token == prompts.eos:
            break
        written.append(token)
        output = model(torch.tensor([[token]]), past_key_values=output.past_key_values, use_cache=True)
    return prompts.tokenizer.decode(written)


def score(model: LlamaForCausalLM, prompts: Prompts, documents: int, attention: str, examples: int, sort: str = "direct") -> float:
    """Share of exact answers about fresh entities in phrasings of training. Each context gets one question.

    @param sort of question, as question_generator.py names them
    """
    asked = generated(documents, examples, sort, held_out=False)
    model.eval()
    right = [answer(model, prompts, list(each.documents), each.question, attention) in each.accepted for each in asked]
    return sum(right) / examples


def score_lines(model: LlamaForCausalLM, prompts: Prompts, examples: int) -> Iterator[str]:
    """A line for each number of documents, sort of question and kind of attention."""
    for documents in (1, 4, 8):
        for attention in ("full", "block"):
            for sort in ("direct", "continued") if documents > 1 else ("direct",):
                share = score(model, prompts, documents, attention, examples, sort=sort)
                yield f"{documents} documents, {sort}, {attention} attention: {share:.1%} exact of {examples}"
