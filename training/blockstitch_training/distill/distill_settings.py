"""Every setting of a distillation run, with its unit and default. The command line and the ablations both fill this."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from math import cos, pi
from pathlib import Path


@dataclass
class Settings:
    teacher: str  # Hugging Face directory of the frozen full-attention teacher
    start: str = ""  # an earlier student to begin with (checkpoint, or adapter of `base`), sinks included; empty: fresh sinks
    base: str = ""  # Hugging Face directory that the student begins with; empty: the teacher
    lora_rank: int = 0  # rank of a low-rank student (low_rank.py); 0: all weights are trained

    loss: str = "kl"  # "kl": distillation; "ce": block fine-tuning, cross-entropy on the answers
    sinks: int = 4  # learned sink tokens at the front; 0 = off (sink_tokens.py)
    start_sinks: int = 0  # learned sink tokens at the start of every block
    end_sinks: int = 0  # learned sink tokens at the end of every block
    hide: float = 0.1  # block dropout: probability that a block is hidden; 0 = off (block_dropout.py)
    act: float = 0.05  # block dropout: probability that a block also acts as a final block; 0 = off
    weighting: bool = True  # token weights by the gap; False = off (token_weights.py)
    gap: str = "teacher"  # whose loss under block attention the gap is made of: "teacher" or "student"
    clip: float = 2.0  # nats, largest gap that counts
    floor: float = 1.0  # nats, added to every gap
    ramp: float = 0.1  # share of the steps over which the weights come in; they go over the others
    privileged: bool = False  # the teacher sees only the documents that hold the answer, where the data names them
    asked: float = 0.0  # how much a token of a question counts in the loss, against 1 for a token of an answer; 0 = off
    states: float = 0.0  # lambda of the loss over hidden states; 0 = off (hidden_states.py)
    full_share: float = 0.1  # share of the examples that the student sees under full attention

    steps: int = 1000  # optimizer steps
    tokens_per_step: int = 8192  # about, per process and micro-batch: blocks and final blocks before dropout
    accumulate: int = 1  # micro-batches per step; all tokens of a step count alike (step_loss.py)
    most_targets: int = 4096  # trained tokens of one micro-batch; more are thinned out at random
    learning_rate: float = 3e-4
    sink_rate: float = 0.01  # AdamW's learning rate for the learned sinks of a low-rank student; 0: that of the rest
    muon_rate: float = 0.0  # Muon's learning rate for the layers' matrices, AdamW's for the rest; 0: AdamW for everything
    warmup: float = 0.05  # share of the steps
    final_rate: float = 0.05  # share of the learning rate left at the end of the cosine
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    seed: int = 1

    attention: str = "auto"  # block_attention.WAYS
    precision: str = "bf16"  # "bf16" (autocast over float32 weights) or "no"
    gradient_checkpointing: bool = False
    compile: bool = False  # torch.compile for all but the attention: minutes at first; then the demo model's steps take two thirds of the time
    log_every: int = 10  # steps
    save_every: int = 200  # steps
    keep_every: int = 0  # steps between students kept under OUT/kept-N, to see how training goes on; 0 keeps the last one only

    def check(self) -> None:
        """@raise ValueError naming the first setting that cannot be used"""
        shares = ("hide", "act", "ramp", "full_share", "warmup", "final_rate")
        rules = [(0 <= getattr(self, name) <= 1, f"{name} must be between 0 and 1") for name in shares]
        counts = ("steps", "tokens_per_step", "accumulate", "most_targets", "log_every", "save_every")
        rules += [(getattr(self, name) >= 1, f"{name} must be at least 1") for name in counts]
        rules += [
            (self.loss in ("kl", "ce"), "loss must be kl or ce"),
            (self.learning_rate > 0 and self.muon_rate >= 0, "learning_rate must be positive and muon_rate not negative"),
            (min(self.sinks, self.start_sinks, self.end_sinks) >= 0, "sinks, start_sinks and end_sinks must not be negative"),
            (self.gap in ("teacher", "student"), "gap must be teacher or student"),
            (self.sink_rate >= 0, "sink_rate must not be negative"),
            (self.lora_rank >= 0, "lora_rank must not be negative"),
            (self.lora_rank == 0 or self.muon_rate == 0, "muon_rate is for whole matrices: leave it at 0 with lora_rank"),
            (self.hide < 1, "hide must be below 1: something has to stay"),
            (self.clip > 0 and self.floor >= 0, "clip must be positive and floor not negative"),
            (self.precision in ("bf16", "no"), "precision must be bf16 or no"),
            (self.keep_every >= 0, "keep_every must not be negative"),
            (self.states >= 0, "states must not be negative"),
            (self.asked >= 0, "asked must not be negative"),
            (self.loss == "kl" or self.states == 0, "states asks the teacher: with loss ce leave it at 0"),
            (self.loss == "kl" or not self.privileged, "privileged asks the teacher: with loss ce leave it off"),
            (self.loss == "kl" or not self.weighting, "weighting asks the teacher: with loss ce turn it off"),
        ]
        for holds, message in rules:
            if not holds:
                raise ValueError(message)

    @property
    def student_base(self) -> str:
        """The directory that the student's weights begin with, or that its adapter goes onto."""
        return self.base or self.teacher

    @property
    def mode(self) -> str:
        """The attention that the student is made for: requests that name none get it."""
        return "full" if self.full_share == 1 else "block"

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then a cosine down to `final_rate`."""
        warm = max(1, round(self.warmup * self.steps))
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        done = (step - warm) / max(1, self.steps - warm)
        return self.learning_rate * (self.final_rate + (1 - self.final_rate) * 0.5 * (1 + cos(pi * done)))

    def progress(self, step: int) -> float:
        """a(s) of token_weights.py."""
        done = step / self.steps
        coming = 1.0 if self.ramp == 0 else done / self.ramp
        going = 1.0 if self.ramp == 1 else (1 - done) / (1 - self.ramp)
        return min(coming, going)

    def digest(self) -> str:
        """A hash that differs where a resumed run would not be the same run."""
        same_run = ("log_every", "save_every", "keep_every", "attention")
        values = {name: value for name, value in asdict(self).items() if name not in same_run}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

    def save(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self), indent=2) + "\n")
