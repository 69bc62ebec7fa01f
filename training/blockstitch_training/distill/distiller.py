"""The training loop: packs from a source, both forward passes, optimizer, log and exact resume, through accelerate.

A run's directory holds settings.json, metrics.jsonl (one line per logged step), TensorBoard events under tb/, the newest state under
state-N/, students on the way under kept-N/ (`keep_every`) and, at the end, the checkpoint under export/. Everything random depends on
(seed, example number), so a run that was cut off goes on exactly where its state was saved. Figures of a logged line are means over its
steps; those of one step are over all of its micro-batches and processes. layout.py says which tokens see which, and step_loss.py what
the loss is.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, set_seed
from tqdm import tqdm
from transformers import AutoConfig, PreTrainedModel

from ..optimization.optimizers import Schedule, make_optimizers
from .block_attention import inverse_frequencies, use_block_attention
from .block_dropout import draw
from .checkpoint import export_checkpoint, load_model, load_tokenizer, stored_dtype
from .distill_settings import Settings
from .examples import Source, packs
from .low_rank import adapter_sinks, add_low_rank, is_adapter, merged, write_adapter
from .packed_batch import Batch, assemble
from .sink_tokens import Edges, add_sink_tokens, base_sinks, block_edges
from .step_loss import Losses, StepLoss


class Distiller:
    """One run: models, optimizer and position in the data. Use `train`, or `batches` and `losses` for parts of it."""

    def __init__(self, settings: Settings, source: Source, out: Path | None, accelerator: Accelerator | None = None):
        settings.check()
        self.settings = settings
        self.source = source
        self.out = out
        self.accelerator = accelerator or Accelerator(mixed_precision=settings.precision)
        set_seed(settings.seed)
        teacher_config = AutoConfig.from_pretrained(settings.teacher)
        self.teacher_sinks, self.teacher_edges = base_sinks(teacher_config), block_edges(teacher_config)
        student = self._load_student()
        self.inv_freq = inverse_frequencies(student)
        use_block_attention(student)
        if settings.gradient_checkpointing:
            student.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        if settings.lora_rank:
            student = add_low_rank(student, settings.lora_rank, self.learned_sinks, settings.start)
        student.train()
        self.teacher = self._load_teacher() if settings.loss == "kl" else None
        if self.accelerator.distributed_type == DistributedType.FSDP and (settings.muon_rate > 0 or settings.lora_rank > 0):
            raise ValueError("FSDP shards the matrices: leave muon_rate and lora_rank at 0")
        optimizers = make_optimizers(student, settings.learning_rate, settings.muon_rate, settings.weight_decay, settings.sink_rate)
        self.student, *prepared = self.accelerator.prepare(student, *optimizers)
        self.optimizer = Schedule(prepared)
        if settings.compile:
            for model in (self.student, self.teacher):
                if model is not None:
                    model.compile(dynamic=True)
        self.step_loss = StepLoss(settings, self.accelerator, self.student, self.teacher, self.inv_freq)
        self.step = 0
        self.cursor = 0  # number of this process's next example
        self.seconds = 0.0

    def _load_student(self) -> PreTrainedModel:
        """The student's weights before its adapter, with rows for all sinks. Sets the tokenizer and the sinks."""
        settings = self.settings
        on_adapter = bool(settings.start) and is_adapter(settings.start)
        if on_adapter and not settings.lora_rank:
            raise ValueError(f"{settings.start} is an adapter: give --lora-rank, or start with a whole checkpoint")
        if settings.lora_rank and settings.start and not on_adapter:
            raise ValueError(f"{settings.start} is no adapter: give it as --base, and a low-rank student begins with it")
        directory = settings.start if settings.start and not on_adapter else settings.student_base
        self.tokenizer = load_tokenizer(directory)
        student = load_model(directory)
        base, edges = base_sinks(student.config), block_edges(student.config)
        counts = (settings.sinks, settings.start_sinks, settings.end_sinks)
        if settings.start and not on_adapter:
            counts = (0, 0, 0)
        elif on_adapter:
            front, brought = adapter_sinks(settings.start)
            pairs = ((front, base), (brought.start, edges.start), (brought.end, edges.end))
            own = [max(0, len(ids) - len(before)) for ids, before in pairs]
            counts = own if any(own) else counts
        added = iter(add_sink_tokens(student, self.tokenizer, sum(counts), settings.seed)[len(base) :])
        fresh = [[*islice(added, count)] for count in counts]
        self.student_sinks = base + fresh[0]
        self.student_edges = Edges((*edges.start, *fresh[1]), (*edges.end, *fresh[2]))
        self.learned_sinks = [token for part in fresh for token in part]
        return student

    def _load_teacher(self) -> torch.nn.Module:
        """The frozen teacher, whole on every device. On a GPU it has its stored type. The CPU computes in bfloat16 through autocast."""
        on_gpu = self.accelerator.device.type == "cuda"
        teacher = load_model(self.settings.teacher, stored_dtype(self.settings.teacher) if on_gpu else torch.float32)
        use_block_attention(teacher)
        return teacher.requires_grad_(False).eval().to(self.accelerator.device)

    def batches(self) -> Iterator[tuple[Batch, int]]:
        """Endless micro-batches from the cursor on, each with the cursor behind it. A thread makes them one ahead."""
        made = self._assemble_all()
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(next, made)
            while True:
                ready = coming.result()
                coming = pool.submit(next, made)
                yield ready

    def _assemble_all(self) -> Iterator[tuple[Batch, int]]:
        settings, rank = self.settings, self.accelerator.process_index
        for examples, cursor in packs(self.source, settings.tokens_per_step, self.cursor, rank, self.accelerator.num_processes):
            rng = random.Random(f"{settings.seed}/{rank}/{cursor}")
            drawn = [draw(example, settings.hide, settings.act, rng) for example in examples]
            full = [rng.random() < settings.full_share for _ in drawn]
            with_teacher = settings.loss == "kl"
            weighted = with_teacher and settings.weighting and settings.gap == "teacher"
            batch = assemble(
                drawn, full, self.student_sinks, self.teacher_sinks, with_teacher, weighted, settings.states > 0, settings.asked,
                self.student_edges, self.teacher_edges, settings.privileged,
            )  # fmt: skip
            yield batch.thinned(settings.most_targets, rng), cursor

    def losses(self, batch: Batch) -> Losses:
        """Both forward passes and the loss of one micro-batch, as if it were a whole step of this process."""
        return self.step_loss.alone(batch, self.settings.progress(self.step))

    def train(self, until: int | None = None, progress: bool = True) -> dict[str, float]:
        """Trains to `until` (default: the settings' steps) and saves states on the way. @returns the last logged figures"""
        settings = self.settings
        last = settings.steps if until is None else min(until, settings.steps)
        bar = _progress_bar(settings.steps, self.step, progress and self.accelerator.is_main_process)
        writer = self._writer()
        logged: dict[str, float] = {}
        stream = self.batches()
        started = time.monotonic()
        sums: dict[str, float] = {}
        since = self.step
        while self.step < last:
            self.optimizer.scale(settings.rate(self.step) / settings.learning_rate)
            batches = []
            for _ in range(settings.accumulate):
                batch, cursor = next(stream)
                batches.append(batch.to(self.accelerator.device))
            for name, value in self.step_loss.backward(batches, settings.progress(self.step)).items():
                sums[name] = sums.get(name, 0.0) + value
            norm = self.accelerator.clip_grad_norm_(self.student.parameters(), settings.clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.step, self.cursor = self.step + 1, cursor
            bar.update(1)
            if self.step % settings.log_every == 0 or self.step == last:
                steps = self.step - since
                took = time.monotonic() - started
                self.seconds += took
                logged = {name: value / steps for name, value in sums.items()}
                logged |= {"step": self.step, "rate": settings.rate(self.step - 1), "norm": float(norm)}
                logged |= {"tokens_per_second": sums["tokens"] / took, "seconds": self.seconds}
                self._log(logged, writer)
                bar.set_postfix(loss=f"{logged['loss']:.4f}", acc=f"{logged['token_accuracy']:.3f}")
                sums, since, started = {}, self.step, time.monotonic()
            if self.out and settings.keep_every and self.step % settings.keep_every == 0:  # before the state: a run cut off here does it again
                self.export(self.out / f"kept-{self.step}")
                started = time.monotonic()
            if self.out and (self.step % settings.save_every == 0 or self.step == last):
                self.save()
                started = time.monotonic()
        stream.close()
        bar.close()
        if writer:
            writer.close()
        return logged

    def _writer(self):
        if not self.out or not self.accelerator.is_main_process:
            return None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:  # metrics.jsonl holds the same figures
            return None
        return SummaryWriter(str(self.out / "tb"), purge_step=self.step)

    def _log(self, figures: dict[str, float], writer) -> None:
        if not self.out or not self.accelerator.is_main_process:
            return
        with (self.out / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({name: round(value, 6) for name, value in figures.items()}) + "\n")
        if writer:
            for name, value in figures.items():
                writer.add_scalar(name, value, int(figures["step"]))

    def save(self) -> None:
        """Saves weights, optimizer and place in the data under state-N/, then removes older states."""
        directory = self.out / f"state-{self.step}"
        self.accelerator.save_state(str(directory), safe_serialization=True)
        cursors = self.accelerator.gather(torch.tensor([self.cursor], device=self.accelerator.device)).tolist()
        if self.accelerator.is_main_process:
            state = {"step": self.step, "cursors": cursors, "seconds": self.seconds, "digest": self.settings.digest()}
            (directory / "position.json").write_text(json.dumps(state))
            for other in self.out.glob("state-*"):
                if other != directory:
                    shutil.rmtree(other, ignore_errors=True)
        self.accelerator.wait_for_everyone()

    def resume(self) -> bool:
        """Goes on from the newest whole state, if there is one. @raise ValueError where it belongs to other settings"""
        states = sorted(self.out.glob("state-*/position.json"), key=lambda file: json.loads(file.read_text())["step"])
        if not states:
            return False
        state = json.loads(states[-1].read_text())
        if state["digest"] != self.settings.digest():
            raise ValueError(f"{self.out} holds a run of other settings; give another --out or remove it")
        if len(state["cursors"]) != self.accelerator.num_processes:
            raise ValueError(f"{self.out} was trained by {len(state['cursors'])} processes, not {self.accelerator.num_processes}")
        self.accelerator.load_state(str(states[-1].parent))
        self.step, self.seconds = state["step"], state["seconds"]
        self.cursor = state["cursors"][self.accelerator.process_index]
        self._forget_later_figures()
        return True

    def _forget_later_figures(self) -> None:
        file = self.out / "metrics.jsonl"
        if self.accelerator.is_main_process and file.exists():
            kept = [line for line in file.read_text().splitlines() if json.loads(line)["step"] <= self.step]
            file.write_text("".join(line + "\n" for line in kept))

    def export(self, directory: Path) -> None:
        """Writes the student as a checkpoint. A low-rank one has its adapter beside it, in `directory`/adapter, and is what that gives."""
        if self.settings.lora_rank:
            if self.accelerator.is_main_process:
                self._export_low_rank(directory)
            self.accelerator.wait_for_everyone()
            return
        weights = self.accelerator.get_state_dict(self.student)
        if self.accelerator.is_main_process:
            model = self.accelerator.unwrap_model(self.student)
            self._export_checkpoint(model, weights, directory)
        self.accelerator.wait_for_everyone()

    def _export_low_rank(self, directory: Path) -> None:
        settings = self.settings
        student = self.accelerator.unwrap_model(self.student)
        write_adapter(student, self.student_sinks, settings.mode, settings.student_base, directory / "adapter", self.student_edges)
        base = load_model(settings.student_base)
        add_sink_tokens(base, load_tokenizer(settings.student_base), len(self.learned_sinks), settings.seed)
        whole = merged(base, settings.lora_rank, self.learned_sinks, directory / "adapter")
        self._export_checkpoint(whole, whole.state_dict(), directory)

    def _export_checkpoint(self, model: PreTrainedModel, weights: dict[str, torch.Tensor], directory: Path) -> None:
        base, mode = self.settings.student_base, self.settings.mode
        export_checkpoint(model, weights, self.tokenizer, self.student_sinks, base, directory, mode, self.student_edges)


def _progress_bar(total: int, done: int, shown: bool):
    return tqdm(total=total, initial=done, disable=not shown, unit="step", dynamic_ncols=True)
