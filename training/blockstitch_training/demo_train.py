"""Trains the demo model from scratch: `python -m blockstitch_training.demo_train --out DIR --minutes M` (resumes in DIR).

Full causal attention; several questions per context, loss on the answers and, lightly, on everything (so that copying
is learnt early); a curriculum over documents per context that moves on when the answers come out right.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from .demo_tokens import ASSISTANT, BOS, DOCUMENT, EOS, FINAL, save_tokenizer, train_tokenizer
from .questions import make_example

HELD_OUT_SEED = 1_000_000_000
LONGEST_ANSWER = 32  # tokens
DECAY = 0.2  # share of the time, at the end, over which the learning rate falls to 0
STAGES = ((1, 3), (2, 4), (4, 6), (6, 8), (8, 8))  # documents, questions


@dataclass
class Settings:
    hidden: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    learning_rate: float = 1.5e-3
    batch: int = 24
    text_weight: float = 0.1
    advance_at: float = 0.9


class Prompts:
    """Token ids of prompts, piece by piece."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self.bos = tokenizer.token_to_id(BOS)
        self.eos = tokenizer.token_to_id(EOS)

    def ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def blocks(self, documents: list[str]) -> list[list[int]]:
        return [self.ids(DOCUMENT.format(text=text)) for text in documents]

    def training_row(self, rng: random.Random, documents: int, questions: int) -> tuple[list[int], list[bool]]:
        example = make_example(rng, documents, questions)
        row = [self.bos] + [token for block in self.blocks(example.documents) for token in block]
        is_answer = [False] * len(row)
        for question in example.questions:
            asked = self.ids(FINAL.format(question=question.question))
            answer = self.ids(question.answer) + [self.eos]
            row += asked + answer
            is_answer += [False] * len(asked) + [True] * len(answer)
        return row, is_answer


def make_model(settings: Settings, vocabulary: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=settings.hidden, intermediate_size=settings.hidden * 3, num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads, num_key_value_heads=settings.kv_heads, max_position_embeddings=4096,
        tie_word_embeddings=True, bos_token_id=0, eos_token_id=1, rms_norm_eps=1e-5,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def batch_of(prompts: Prompts, rng: random.Random, stage: int, size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """ids [size, T], answer mask and text mask [size, T] (of the token predicted, not of the one that predicts)."""
    rows = [prompts.training_row(rng, *STAGES[stage]) for _ in range(size)]
    width = max(len(row) for row, _ in rows)
    ids = torch.full((size, width), prompts.eos)
    answers = torch.zeros(size, width)
    texts = torch.zeros(size, width)
    for index, (row, is_answer) in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        answers[index, : len(row)] = torch.tensor(is_answer, dtype=torch.float)
        texts[index, : len(row)] = 1
    return ids, answers, texts


def block_mask(lengths: list[int], final: int) -> torch.Tensor:
    """[T, T] bool: sink at 0, blocks of `lengths` that see the sink and themselves, `final` tokens that see all."""
    group = [0] + [index + 1 for index, length in enumerate(lengths) for _ in range(length)] + [-1] * final
    groups = torch.tensor(group)
    causal = torch.ones(len(group), len(group), dtype=torch.bool).tril()
    seen = (groups[:, None] == groups[None, :]) | (groups[None, :] == 0) | (groups[:, None] == -1)
    return causal & seen


@torch.no_grad()
def evaluate(model: LlamaForCausalLM, prompts: Prompts, documents: int, attention: str, examples: int, seed: int = HELD_OUT_SEED) -> float:
    """Share of exact answers on fresh entities, greedy, one question per context."""
    rng = random.Random(seed)
    model.eval()
    right = 0
    for _ in range(examples):
        example = make_example(rng, documents, 1)
        question = example.questions[0]
        blocks = prompts.blocks(example.documents)
        final = prompts.ids(FINAL.format(question=question.question))
        ids = [prompts.bos] + [token for block in blocks for token in block] + final
        written: list[int] = []
        while len(written) < LONGEST_ANSWER:
            if attention == "block":
                allowed = block_mask([len(block) for block in blocks], len(final) + len(written))
                mask = torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min)[None, None]
                logits = model(torch.tensor([ids + written]), attention_mask=mask, use_cache=False).logits
            else:
                logits = model(torch.tensor([ids + written]), use_cache=False).logits
            token = int(logits[0, -1].argmax())
            if token == prompts.eos:
                break
            written.append(token)
        right += prompts.tokenizer.decode(written) == question.answer
    return right / examples


def export(model: LlamaForCausalLM, prompts: Prompts, directory: Path) -> None:
    """Writes the checkpoint in float16 with the `block_attention` section that the server reads."""
    directory.mkdir(parents=True, exist_ok=True)
    LlamaForCausalLM.from_pretrained(None, config=model.config, state_dict=model.state_dict()).half().save_pretrained(directory)
    config = json.loads((directory / "config.json").read_text())
    config["block_attention"] = {"mode": "block", "sink_token_ids": [prompts.bos]}
    (directory / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    save_tokenizer(prompts.tokenizer, directory)


def train(out: Path, minutes: float, settings: Settings, seed: int, log=print) -> LlamaForCausalLM:
    """Trains until the time is up; a state in `out` is gone on from. The state is saved every two minutes and at the end."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer_file = out / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(tokenizer_file)) if tokenizer_file.exists() else train_tokenizer(seed)
    tokenizer.save(str(tokenizer_file))
    prompts = Prompts(tokenizer)
    torch.manual_seed(seed)
    model = make_model(settings, tokenizer.get_vocab_size())
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=0.01)
    step = stage = 0
    right = 0.0
    state_file = out / "state.pt"
    if state_file.exists():
        state = torch.load(state_file)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, stage, right = state["step"], state["stage"], state["right"]

    def save() -> None:
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "stage": stage, "right": right}, state_file)

    started = saved = time.monotonic()
    while time.monotonic() - started < minutes * 60:
        rng = random.Random(f"{seed}/{step}")
        ids, answers, texts = batch_of(prompts, rng, stage if rng.random() < 0.8 else rng.randint(0, stage), settings.batch)
        for group in optimizer.param_groups:
            left = 1 - (time.monotonic() - started) / (minutes * 60)
            group["lr"] = settings.learning_rate * max(0.0, min(1, (step + 1) / 100, left / DECAY))
        model.train()
        logits = model(ids[:, :-1], use_cache=False).logits
        losses = functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none").view_as(ids[:, 1:])
        answer_loss = (losses * answers[:, 1:]).sum() / answers[:, 1:].sum()
        text_loss = (losses * texts[:, 1:]).sum() / texts[:, 1:].sum()
        (answer_loss + settings.text_weight * text_loss).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        hits = ((logits.argmax(-1) == ids[:, 1:]) * answers[:, 1:]).sum() / answers[:, 1:].sum()
        right = 0.98 * right + 0.02 * float(hits)
        step += 1
        if step % 25 == 0:
            log(f"step {step} stage {stage} answer loss {float(answer_loss.detach()):.3f} text {float(text_loss.detach()):.3f} token accuracy {right:.3f}", flush=True)
        if right > settings.advance_at and stage + 1 < len(STAGES):
            stage, right = stage + 1, 0.0
        if time.monotonic() - saved > 120:
            save()
            saved = time.monotonic()
    save()
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="training state; an existing one is gone on from")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--export", type=Path, help="write the checkpoint here at the end")
    parser.add_argument("--examples", type=int, default=100, help="held-out questions to score at the end, per attention mode")
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    model = train(arguments.out, arguments.minutes, Settings(), arguments.seed)
    prompts = Prompts(Tokenizer.from_file(str(arguments.out / "tokenizer.json")))
    if arguments.export:
        export(model, prompts, arguments.export)
    for documents in (1, 4):
        for attention in ("full", "block"):
            score = evaluate(model, prompts, documents, attention, arguments.examples)
            print(f"{documents} documents, {attention} attention: {score:.1%} exact of {arguments.examples}", flush=True)


if __name__ == "__main__":
    main()
