"""Trains the demo model from nothing, or from an earlier checkpoint, under full causal attention.

The loss is on the answers and, lightly, on everything, so that copying is learnt early. The curriculum moves on when the answers come
out right. Muon trains the matrices and AdamW the rest, in bfloat16 where the processor or GPU has it. The batches are demo_rows.py,
the checkpoint is demo_checkpoint.py, the score is demo_score.py.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import LlamaForCausalLM

from ..optimization.optimizers import Schedule, make_optimizers
from .curriculum import STAGES
from .demo_checkpoint import make_model, warm_start
from .demo_prompts import Prompts
from .demo_rows import Batch, Rows
from .demo_settings import Settings
from .demo_tokenizer import train_tokenizer

LONGEST_STEP = 10.0  # seconds that one step may count for; compiling and pauses are not training
DECAY = 0.25  # share of the time, at the end, over which the learning rate falls to a twentieth


def losses(model: LlamaForCausalLM, batch: Batch, body) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean cross-entropy over answer tokens and over text tokens, and the share of answer tokens that were right."""
    hidden = body(input_ids=batch.ids, position_ids=batch.positions, attention_mask=batch.mask, use_cache=False).last_hidden_state
    logits = model.lm_head(hidden.flatten(0, 1)[batch.picked]).float()
    each = functional.cross_entropy(logits, batch.targets, reduction="none")
    right = (logits.argmax(-1) == batch.targets)[batch.is_answer].float().mean()
    return each[batch.is_answer].mean(), each[~batch.is_answer].mean(), right


def train(
    out: Path,
    minutes: float,
    settings: Settings,
    seed: int,
    device: str = "cpu",
    start: tuple[Path, int] | None = None,
    compiled: bool = True,
    log=print,
) -> LlamaForCausalLM:
    """Trains until the time is up, from the state in `out` where there is one. The state is saved every two minutes and at the end.

    start: an exported checkpoint and the curriculum's stage, both to begin with, where `out` holds no state yet.
    compiled: sends the model through torch.compile. That takes a minute at first and halves the time of a step.
    """
    out.mkdir(parents=True, exist_ok=True)
    tokenizer_file = out / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(tokenizer_file)) if tokenizer_file.exists() else train_tokenizer(seed)
    tokenizer.save(str(tokenizer_file))
    prompts = Prompts(tokenizer)
    torch.manual_seed(seed)
    model = make_model(settings, tokenizer.get_vocab_size()).to(device)
    optimizers = make_optimizers(model, settings.adam_rate, settings.muon_rate)
    schedule = Schedule(optimizers)
    step, stage, right, spent = 0, 0, 0.0, 0.0
    state_file = out / "state.pt"
    if start is not None and not state_file.exists():
        warm_start(model, tokenizer, start[0])
        stage = start[1]
    if state_file.exists():
        state = torch.load(state_file, map_location=device)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        step, stage, right, spent = state["step"], state["stage"], state["right"], state["spent"]

    def save() -> None:
        optimizer_states = [optimizer.state_dict() for optimizer in optimizers]
        state = {"model": model.state_dict(), "optimizers": optimizer_states, "step": step, "stage": stage, "right": right, "spent": spent}
        torch.save(state, out / "state.new")
        (out / "state.new").replace(state_file)

    def batches() -> Iterator[Batch]:
        loader = DataLoader(Rows(prompts, settings, seed, step, stage), batch_size=None, num_workers=1, prefetch_factor=4, multiprocessing_context="spawn")
        return iter(loader)

    source = batches()
    source = chain([next(source)], source)  # the start of the process that makes them does not count as training
    saved_at = stepped_at = time.monotonic()
    model.train()
    body = torch.compile(model.model, dynamic=True) if compiled else model.model
    while spent < minutes * 60:
        left = 1 - spent / (minutes * 60)
        schedule.scale(min(1.0, (step + 1) / 100, 0.05 + 0.95 * left / DECAY))
        batch = next(source)
        batch = Batch(*(getattr(batch, name).to(device) for name in Batch.__dataclass_fields__))
        with torch.autocast(device, dtype=torch.bfloat16):
            answer_loss, text_loss, hits = losses(model, batch, body)
        (answer_loss + settings.text_weight * text_loss).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        schedule.step()
        schedule.zero_grad()
        right = 0.98 * right + 0.02 * float(hits)
        step += 1
        now = time.monotonic()
        spent, stepped_at = spent + min(now - stepped_at, LONGEST_STEP), now
        if step % 25 == 0:
            figures = f"answer loss {float(answer_loss.detach()):.3f} text {float(text_loss.detach()):.3f} token accuracy {right:.3f}"
            log(f"step {step} minute {spent / 60:.1f} stage {stage} {figures}", flush=True)
        if not math.isfinite(float(answer_loss.detach())):
            raise RuntimeError(f"the loss is not finite at step {step}: lower the learning rates")
        if right > settings.advance_at and stage + 1 < len(STAGES):
            stage, right = stage + 1, 0.0
            source = batches()
        if time.monotonic() - saved_at > 120:
            save()
            saved_at = time.monotonic()
    save()
    return model
