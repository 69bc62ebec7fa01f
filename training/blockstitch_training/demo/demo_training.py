"""Trains the demo model from scratch: `python -m blockstitch_training.demo_train --out DIR --minutes M` (resumes in DIR).

Full causal attention; several questions per context, none of which sees another, loss on the answers and, lightly, on everything
(so that copying is learnt early); a curriculum over documents per context that moves on when the answers come out right. In most
contexts documents go on where the one before was cut, and all subjects share a stem: what an abbreviation stands for then has to be
taken from the text before, which is what full attention can do and a block read by itself cannot. In most of the others all subjects
end alike, so that names are read by their stems too. Matrices are trained by Muon, the rest by AdamW, in bfloat16 where the
processor or GPU has it. What a prompt looks like is demo_tokens.py, what is asked is questions.py, the score is demo_score.py.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset
from transformers import LlamaConfig, LlamaForCausalLM

from ..optimization.optimizers import Schedule, make_optimizers
from .demo_prompts import Prompts, TrainingRow, save_tokenizer, train_tokenizer
from .demo_score import score
from .question_generator import Example, make_example

LONGEST_STEP = 10.0  # seconds that one step may count for: compiling and being paused are no training
BY_STEM = 0.75  # share of the contexts of whole documents in which only the stems tell the subjects apart
DECAY = 0.25  # share of the time, at the end, over which the learning rate falls to a twentieth


@dataclass(frozen=True)
class Stage:
    documents: tuple[int, int]  # fewest, most
    entities: int  # per document, at most
    questions: int
    two_hop: float
    continued: float = 0.0  # share of the contexts in which documents go on where the one before was cut

    def example(self, rng: random.Random, documents: int, entities: int) -> Example:
        """One context; its questions grow with its documents."""
        questions = max(4, self.questions * documents // self.documents[1])
        cut = rng.random() < self.continued
        by_stem = not cut and rng.random() < BY_STEM
        shared = "stem" if cut else "ending" if by_stem else None
        alike = by_stem and rng.random() < 0.75
        return make_example(rng, documents, questions, entities, self.two_hop, continued=0.8 if cut else 0.0, shared=shared, alike=alike)


STAGES = (
    Stage((1, 2), 1, 8, 0.0),
    Stage((1, 4), 1, 14, 0.1, 0.6),
    Stage((2, 8), 1, 28, 0.15, 0.6),
    Stage((2, 12), 2, 44, 0.2, 0.6),
    Stage((4, 32), 2, 64, 0.2, 0.6),
)


@dataclass
class Settings:
    hidden: int = 256
    intermediate: int = 768
    layers: int = 5
    heads: int = 4
    kv_heads: int = 2
    muon_rate: float = 0.01
    adam_rate: float = 2e-3
    batch_tokens: int = 8192
    text_weight: float = 0.2
    text_share: float = 0.25  # of the tokens that are no answer, drawn for the text loss
    advance_at: float = 0.975


@dataclass
class Batch:
    ids: torch.Tensor  # int64 [rows, T]
    positions: torch.Tensor  # int64 [rows, T]
    mask: torch.Tensor  # bool [rows, 1, T, T]: what each token sees
    picked: torch.Tensor  # int64 [n]: places in the flattened ids whose successor is predicted
    targets: torch.Tensor  # int64 [n]
    is_answer: torch.Tensor  # bool [n]


class Rows(IterableDataset):
    """Batches of one seed from `step` on; what a batch holds hangs on seed, step and stage alone."""

    def __init__(self, prompts: Prompts, settings: Settings, seed: int, step: int, stage: int):
        self.prompts, self.settings, self.seed, self.step, self.stage = prompts, settings, seed, step, stage

    def __iter__(self) -> Iterator[Batch]:
        step = self.step
        while True:
            rng = random.Random(f"{self.seed}/{self.stage}/{step}")
            yield self.batch(rng, self.stage if rng.random() < 0.8 else rng.randint(0, self.stage))
            step += 1

    def batch(self, rng: random.Random, stage: int) -> Batch:
        """Rows of about one length, together about `batch_tokens`."""
        wanted = STAGES[stage]
        documents = rng.randint(*wanted.documents)
        entities = rng.randint(1, wanted.entities)
        rows: list[TrainingRow] = []
        while not rows or (len(rows) + 1) * max(len(row.ids) for row in rows) < self.settings.batch_tokens:
            rows.append(self.prompts.training_row(wanted.example(rng, documents, entities)))
        width = max(len(row.ids) for row in rows)
        ids = torch.full((len(rows), width), self.prompts.eos)
        positions = torch.zeros(len(rows), width, dtype=torch.long)
        groups = torch.full((len(rows), width), -1)
        picked, targets, is_answer = [], [], []
        for index, row in enumerate(rows):
            length = len(row.ids)
            ids[index, :length] = torch.tensor(row.ids)
            positions[index, :length] = torch.tensor(row.positions)
            groups[index, :length] = torch.tensor(row.groups)
            for place in range(1, length):
                if row.groups[place] != row.groups[place - 1]:
                    continue  # the first token of a question follows from nothing
                if row.is_answer[place] or rng.random() < self.settings.text_share:
                    picked.append(index * width + place - 1)
                    targets.append(row.ids[place])
                    is_answer.append(row.is_answer[place])
        same = (groups[:, None, :, None] == groups[:, None, None, :]) | (groups[:, None, None, :] == 0)
        mask = same & torch.ones(width, width, dtype=torch.bool).tril()
        return Batch(ids, positions, mask, torch.tensor(picked), torch.tensor(targets), torch.tensor(is_answer))


def make_model(settings: Settings, vocabulary: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=settings.hidden, intermediate_size=settings.intermediate,
        num_hidden_layers=settings.layers, num_attention_heads=settings.heads, num_key_value_heads=settings.kv_heads,
        max_position_embeddings=4096, tie_word_embeddings=True, bos_token_id=0, eos_token_id=1, rms_norm_eps=1e-5,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def warm_start(model: LlamaForCausalLM, tokenizer: Tokenizer, checkpoint: Path) -> None:
    """Takes the weights of an exported checkpoint; embeddings go by the token's text, new tokens keep their random ones. Layers that
    the checkpoint lacks stand before its last one and begin by passing on what they are given."""
    earlier = LlamaForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    weights = earlier.state_dict()
    known = Tokenizer.from_file(str(checkpoint / "tokenizer.json")).get_vocab()
    embeddings = model.get_input_embeddings().weight.detach().clone()
    embeddings *= weights["model.embed_tokens.weight"].std() / embeddings.std()
    for text, token in tokenizer.get_vocab().items():
        if text in known:
            embeddings[token] = weights["model.embed_tokens.weight"][known[text]]
    weights["model.embed_tokens.weight"] = weights["lm_head.weight"] = embeddings
    had, has = earlier.config.num_hidden_layers, model.config.num_hidden_layers
    fresh = model.state_dict()
    for name in [name for name in fresh if name.startswith("model.layers.")]:
        layer, part = int(name.split(".")[2]), name.split(".", 3)[3]
        if had - 1 <= layer < has - 1:
            silent = part in ("self_attn.o_proj.weight", "mlp.down_proj.weight")
            fresh[name] = torch.zeros_like(fresh[name]) if silent else fresh[name]
        else:
            fresh[name] = weights[f"model.layers.{layer if layer < had - 1 else had - 1}.{part}"]
    model.load_state_dict({name: fresh[name] if name.startswith("model.layers.") else weights[name] for name in fresh})


def export(model: LlamaForCausalLM, prompts: Prompts, directory: Path) -> None:
    """Writes the checkpoint in float16 with the `block_attention` section that the server reads."""
    directory.mkdir(parents=True, exist_ok=True)
    LlamaForCausalLM.from_pretrained(None, config=model.config, state_dict=model.state_dict()).half().save_pretrained(directory)
    config = json.loads((directory / "config.json").read_text())
    config["block_attention"] = {"mode": "block", "sink_token_ids": [prompts.bos]}
    (directory / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    save_tokenizer(prompts.tokenizer, directory)


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
    """Trains until the time is up; a state in `out` is gone on from. The state is saved every two minutes and at the end.

    start: an exported checkpoint to begin with and the curriculum's stage to begin at, where `out` holds no state yet.
    compiled: through torch.compile; takes a minute to begin with, halves the time of a step.
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
    source = chain([next(source)], source)  # starting the process that makes them is no training
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="training state; an existing one is gone on from")
    parser.add_argument("--minutes", type=float, default=60, help="of training, earlier runs in --out counted in")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--export", type=Path, help="write the checkpoint here at the end")
    parser.add_argument("--examples", type=int, default=200, help="held-out questions to score at the end, per row of the table")
    parser.add_argument("--start", type=Path, help="begin with this exported checkpoint")
    parser.add_argument("--stage", type=int, default=0, choices=range(len(STAGES)), help="of the curriculum, with --start")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    start = (arguments.start, arguments.stage) if arguments.start else None
    model = train(arguments.out, arguments.minutes, Settings(), arguments.seed, arguments.device, start)
    prompts = Prompts(Tokenizer.from_file(str(arguments.out / "tokenizer.json")))
    if arguments.export:
        export(model, prompts, arguments.export)
    for documents in (1, 4, 8):
        for attention in ("full", "block"):
            for sort in ("direct", "continued") if documents > 1 else ("direct",):
                share = score(model.cpu(), prompts, documents, attention, arguments.examples, sort=sort)
                print(f"{documents} documents, {sort}, {attention} attention: {share:.1%} exact of {arguments.examples}", flush=True)


if __name__ == "__main__":
    main()
