"""Compares the training speed of three ways in one run. The same examples go through each of them, turn by turn:

    masked fine-tuning   block fine-tuning as it is usually done: each question is a row of its own with all its documents and one
                         [S, S] mask. The cost grows with the square, and documents are computed once per question.
    packed fine-tuning   block fine-tuning over packed layouts: each block once, however many questions follow it
    distillation         the same with the frozen teacher's two forward passes, block dropout and token weights

The figures are seconds per example (median over turns) and ratios.
"""

from __future__ import annotations

import itertools
import statistics
import time

import torch

from .block_attention import inverse_frequencies
from .checkpoint import load_model, load_tokenizer
from .distill_settings import Settings
from .distiller import Distiller
from .example_sources import QuestionSource
from .examples import Example, packs
from .objectives import weighted_cross_entropy
from .sink_tokens import base_sinks


def masked_batch(examples: list[Example], sinks: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """ids [rows, S], additive mask [rows, 1, S, S], labels [rows, S] (-100 where not trained): a row per final block."""
    rows = []
    for example in examples:
        for final in example.finals:
            ids = [*sinks, *itertools.chain.from_iterable(example.blocks), *final.tokens]
            group = [0] * len(sinks)
            for at, block in enumerate(example.blocks, start=1):
                group += [at] * len(block)
            group += [-1] * len(final.tokens)
            trained = [False] * (len(ids) - len(final.tokens)) + list(final.trained)
            rows.append((ids, group, trained))
    width = max(len(ids) for ids, _, _ in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.int64)
    labels = torch.full((len(rows), width), -100)
    groups = torch.full((len(rows), width), -2)
    for at, (tokens, group, trained) in enumerate(rows):
        ids[at, : len(tokens)] = torch.tensor(tokens)
        groups[at, : len(tokens)] = torch.tensor(group)
        labels[at, : len(tokens)] = torch.where(torch.tensor(trained), torch.tensor(tokens), -100)
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    seen = causal & ((groups[:, :, None] == groups[:, None, :]) | (groups[:, None, :] == 0) | (groups[:, :, None] == -1))
    mask = torch.zeros(seen.shape).masked_fill_(~seen, torch.finfo(torch.float32).min)[:, None]
    return ids, mask, labels


def measure(teacher: str, turns: int, tokens: int, documents: tuple[int, int]) -> dict[str, object]:
    source = QuestionSource(load_tokenizer(teacher), 1, documents)
    distill = Distiller(Settings(teacher=teacher, tokens_per_step=tokens), source, None)
    tune = Distiller(Settings(teacher=teacher, loss="ce", sinks=0, hide=0, act=0, weighting=False, full_share=0, tokens_per_step=tokens), source, None)
    masked = load_model(teacher)
    optimizer = torch.optim.AdamW(masked.parameters(), lr=1e-5)
    sinks = base_sinks(masked.config)
    inverse_frequencies(masked)  # refuses the models that the others refuse
    device = distill.accelerator.device
    masked.to(device)

    def masked_step(examples: list[Example]) -> None:
        ids, mask, labels = (part.to(device) for part in masked_batch(examples, sinks))
        with torch.autocast(device.type, torch.bfloat16):
            keep = labels[:, 1:] != -100
            logits = masked(input_ids=ids, attention_mask=mask.to(torch.bfloat16), use_cache=False).logits[:, :-1][keep]
        wanted = labels[:, 1:][keep]
        (weighted_cross_entropy(logits, wanted, torch.ones(len(wanted), device=device)) / len(wanted)).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def packed_step(distiller: Distiller, stream) -> None:
        batch, _ = next(stream)
        losses = distiller.losses(batch.to(device))
        distiller.accelerator.backward(losses.total)
        distiller.optimizer.step()
        distiller.optimizer.zero_grad(set_to_none=True)

    streams = {"distillation": distill._assemble_all(), "packed fine-tuning": tune._assemble_all()}
    steps = {
        "masked fine-tuning": masked_step,
        "packed fine-tuning": lambda _: packed_step(tune, streams["packed fine-tuning"]),
        "distillation": lambda _: packed_step(distill, streams["distillation"]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for examples, _ in itertools.islice(packs(source, tokens, 0), turns + 1):
        for name, step in steps.items():
            started = time.perf_counter()
            step(examples)
            if device.type == "cuda":
                torch.cuda.synchronize()
            seconds[name].append((time.perf_counter() - started) / len(examples))
    median = {name: statistics.median(values[1:]) for name, values in seconds.items()}  # the first turn pays for warming up
    return {
        "device": str(device), "threads": torch.get_num_threads(), "turns": turns, "tokens_per_step": tokens, "documents": documents,
        "seconds_per_example": median,
        "speed_of_distillation_to_masked_fine_tuning": median["masked fine-tuning"] / median["distillation"],
        "speed_of_distillation_to_packed_fine_tuning": median["packed fine-tuning"] / median["distillation"],
    }  # fmt: skip
