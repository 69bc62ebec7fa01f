"""The dry run: how much memory and time a run will take, before anything is written.

Memory is counted from the model's shape. Time is measured on a few real steps over the run's own data. Nothing is saved.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from .checkpoint import stored_dtype
from .distill_settings import Settings
from .distiller import Distiller
from .examples import Source
from .packed_batch import Batch

GIB = 2**30
TIMED_STEPS = 3
MASTER_BYTES = 16  # per parameter: float32 weight, gradient and two moments of Adam


@dataclass(frozen=True)
class Memory:
    """Bytes. `sharded` is divided among the processes under FSDP; the rest is per process."""

    sharded: int  # student's weights, gradients, moments
    teacher: int
    activations: int
    logits: int

    def per_process(self, processes: int) -> int:
        return self.sharded // processes + self.teacher + self.activations + self.logits


def memory_of(settings: Settings, student_tokens: int, targets: int) -> Memory:
    """
    Counts what one micro-batch keeps.

    Activations for the backward pass, per token and layer in 2-byte values, are about 16 hidden + 4 intermediate sizes (inputs of norms,
    projections and products). With gradient checkpointing they are one hidden size, and one layer at work. Logits are the student's with
    their gradient, and the teacher's. With token weights they are the teacher's under both attentions, and those under full attention of
    every micro-batch of the step.
    """
    config = AutoConfig.from_pretrained(settings.teacher)
    with torch.device("meta"):
        parameters = sum(parameter.numel() for parameter in AutoModelForCausalLM.from_config(config).parameters())
    element = 2 if settings.precision == "bf16" else 4
    one_layer = student_tokens * (16 * config.hidden_size + 4 * config.intermediate_size) * element
    layers = config.num_hidden_layers
    if settings.gradient_checkpointing:
        activations = one_layer + layers * student_tokens * config.hidden_size * element
    else:
        activations = layers * one_layer
    with_teacher = settings.loss == "kl"
    copies = 2 + (0 if not with_teacher else 1 + settings.accumulate if settings.weighting and settings.gap == "teacher" else 1)
    teacher = 0
    if with_teacher:
        stored = stored_dtype(settings.teacher).itemsize if torch.cuda.is_available() else 4
        teacher = parameters * stored
    return Memory(parameters * MASTER_BYTES, teacher, activations, copies * targets * config.vocab_size * 4)


def estimate(settings: Settings, source: Source, processes: tuple[int, ...] = (1, 4, 8)) -> str:
    """Takes the time of a few steps. @returns a report"""
    distiller = Distiller(settings, source, out=None)
    stream = distiller.batches()
    took, packs = [], []
    for _ in range(TIMED_STEPS):
        batch, _ = next(stream)
        packs.append(batch)
        took.append(_timed(distiller, batch.to(distiller.accelerator.device)))
    stream.close()
    mean = lambda values: sum(values) / len(values)  # noqa: E731
    tokens, targets = mean([batch.student.tokens for batch in packs]), mean([len(batch.labels) for batch in packs])
    memory = memory_of(settings, round(tokens), round(targets))
    step = min(took) * settings.accumulate
    lines = [
        f"one micro-batch: {tokens:.0f} tokens of the student, {mean([b.teacher.tokens if b.teacher else 0 for b in packs]):.0f} of the teacher, {targets:.0f} trained",
        f"memory: student {memory.sharded / GIB:.2f} GiB (weights, gradients, Adam), teacher {memory.teacher / GIB:.2f}, "
        f"activations {memory.activations / GIB:.2f}, logits {memory.logits / GIB:.2f}",
        *(f"  {count} process{'es' if count > 1 else ''}: {memory.per_process(count) / GIB:.1f} GiB each" for count in processes),
        f"time: {step:.2f} s a step on {distiller.accelerator.device}, {settings.steps} steps in {step * settings.steps / 3600:.2f} h",
    ]
    return "\n".join(lines)


def _timed(distiller: Distiller, batch: Batch) -> float:
    started = time.perf_counter()
    losses = distiller.losses(batch)
    distiller.accelerator.backward(losses.total)
    distiller.optimizer.step()
    distiller.optimizer.zero_grad(set_to_none=True)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started
