"""The loss of one optimizer step, however many micro-batches and processes share it.

    L = sum_t w(t) l(t) / sum_t w(t)        t: every trained token of all micro-batches of all processes in this step

and, where `states` is not 0, lambda D of hidden_states.py is added, whose mean also runs over the whole step.

l(t) is the KL divergence to the teacher or the cross-entropy (objectives.py). w(t) is the token's weight (token_weights.py), times `asked`
where it is not of an answer but of a question. Every token of a step counts by its weight alone. The length of its micro-batch and the process that holds it do not matter: the mean gap
inside w(t) and the divisor are sums over the whole step. It knows the two models. It does not know data, optimizers or logs.

Token weights need the teacher's gaps of the whole step before the first backward pass. The teacher therefore reads all micro-batches
first, and its logits of all of them stay in memory. Without token weights it reads one micro-batch at a time. So it does where the gap is
the student's own: then the mean gap is that of the micro-batch, and the divisor stays what it is without weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from accelerate import Accelerator

from .block_attention import packed_pass
from .distill_settings import Settings
from .hidden_states import distance, input_norms, read_states
from .objectives import weighted_cross_entropy, weighted_kl
from .packed_batch import Batch
from .token_weights import token_gaps, token_losses, token_weights

SUMS = ("loss", "weight", "right", "targets", "tokens", "gap", "in_block", "distance", "read")


@dataclass
class TeacherView:
    """What the frozen teacher says of the n trained tokens of one micro-batch."""

    logits: torch.Tensor | None = None  # [n, vocab] under full attention; None for cross-entropy
    full: torch.Tensor | None = None  # losses [n] under full attention, nats; None without token weights
    block: torch.Tensor | None = None  # losses [n] under block attention, nats
    states: list[torch.Tensor] | None = None  # what its layers read at the m tokens of Batch.teacher_read; None without `states`


@dataclass
class Losses:
    """The loss of one micro-batch."""

    summed: torch.Tensor  # sum of w(t) l(t), scalar with gradient
    pull: torch.Tensor | None  # lambda sum of d(t) of hidden_states.py, scalar with gradient; None without `states`
    weights: torch.Tensor  # w(t) [n]
    sums: dict[str, float]  # by SUMS, to be added up over a step
    weight_max: float

    @property
    def total(self) -> torch.Tensor:
        """The loss over this micro-batch, as if it were the whole step."""
        mean = self.summed / self.weights.sum()
        return mean if self.pull is None else mean + self.pull / self.sums["read"]


class StepLoss:
    """Forward and backward passes of one step."""

    def __init__(
        self, settings: Settings, accelerator: Accelerator, student: torch.nn.Module, teacher: torch.nn.Module | None, inv_freq: torch.Tensor
    ):
        self.settings, self.accelerator, self.student, self.teacher, self.inv_freq = settings, accelerator, student, teacher, inv_freq
        self.norms = input_norms(teacher) if settings.states > 0 else None

    def alone(self, batch: Batch, progress: float) -> Losses:
        """One micro-batch of this process as a step of its own, without its backward pass."""
        view = self._ask_teacher(batch)
        [weights] = self._weights([batch], [view], progress, sums_over_processes=False)
        return self._losses(batch, view, weights, progress)

    def backward(self, batches: Sequence[Batch], progress: float) -> dict[str, float]:
        """
        Adds the gradient of the whole step's loss to the student.

        @param batches  this process's micro-batches, on its device; every process gives the same number of them
        @param progress a(s) of token_weights.py, 0..1
        @returns figures of the step over all processes
        """
        views = [self._ask_teacher(batch) if self._asks_gaps else None for batch in batches]
        weights = self._weights(batches, views, progress)
        total = self._over_processes(sum(each.sum() for each in weights))
        # Data-parallel training takes the mean of the processes' gradients, where the step needs their sum.
        divisor = total / self.accelerator.num_processes
        read = self._read_tokens(batches)
        sums = dict.fromkeys(SUMS, 0.0)
        weight_max = 0.0
        for at, (batch, weight) in enumerate(zip(batches, weights, strict=True)):
            last = at == len(batches) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.student):
                losses = self._losses(batch, views[at] or self._ask_teacher(batch), weight, progress)
                loss = losses.summed / divisor
                if losses.pull is not None:
                    loss = loss + losses.pull / read
                self.accelerator.backward(loss)
            views[at] = None  # its logits are not needed again
            weight_max = max(weight_max, losses.weight_max)
            for name, value in losses.sums.items():
                sums[name] += value
        return self._figures(sums, weight_max)

    @property
    def _asks_gaps(self) -> bool:
        """Whether token weights come from the teacher alone, before the student has read anything."""
        return self.settings.weighting and self.settings.gap == "teacher"

    def _read_tokens(self, batches: Sequence[Batch]) -> torch.Tensor | None:
        """The divisor of D, as data-parallel training wants it; None without `states`."""
        if self.norms is None:
            return None
        count = torch.tensor(float(sum(_read(batch) for batch in batches)), device=self.accelerator.device)
        return self._over_processes(count) / self.accelerator.num_processes

    def _ask_teacher(self, batch: Batch) -> TeacherView:
        if self.teacher is None:
            return TeacherView()
        count = len(batch.labels)
        weighted = batch.teacher_block_keep is not None
        with torch.no_grad(), self.accelerator.autocast():
            keep = torch.cat((batch.teacher_keep, batch.teacher_block_keep)) if weighted else batch.teacher_keep
            logits, hidden = packed_pass(self.teacher, batch.teacher, keep, self.inv_freq, self.settings.attention, self.norms is not None)
            states = None if self.norms is None else read_states(self.norms, hidden, batch.teacher_read)
        if not weighted:
            return TeacherView(logits, states=states)
        full, block = logits[:count], logits[count:]
        # A copy lets the other half of the logits go before the next micro-batch.
        return TeacherView(full.clone(), token_losses(full, batch.labels), token_losses(block, batch.labels), states)

    def _weights(
        self, batches: Sequence[Batch], views: Sequence[TeacherView | None], progress: float, sums_over_processes: bool = True
    ) -> list[torch.Tensor]:
        if self.teacher is None or not self._asks_gaps:
            return [batch.share for batch in batches]
        gaps = [token_gaps(view.full, view.block, self.settings.clip, self.settings.floor) for view in views]
        shares = [batch.in_block.to(gap.dtype) for batch, gap in zip(batches, gaps, strict=True)]
        sums = torch.stack([sum((gap * share).sum() for gap, share in zip(gaps, shares, strict=True)), sum(share.sum() for share in shares)])
        if sums_over_processes:
            sums = self._over_processes(sums)
        mean = sums[0] / sums[1].clamp(min=1)
        return [batch.share * token_weights(gap, batch.in_block, mean, progress) for gap, batch in zip(gaps, batches, strict=True)]

    def _by_own_gap(self, batch: Batch, view: TeacherView, logits: torch.Tensor, progress: float) -> torch.Tensor:
        """w(t) [n] by the student's gap; their sum is that of the shares. @param logits the student's [n, vocab]"""
        full, block = token_losses(view.logits, batch.labels), token_losses(logits.detach(), batch.labels)
        gap = token_gaps(full, block, self.settings.clip, self.settings.floor)
        share = batch.in_block.to(gap.dtype) * batch.share
        return batch.share * token_weights(gap, batch.in_block, (gap * share).sum() / share.sum().clamp(min=1e-9), progress)

    def _losses(self, batch: Batch, view: TeacherView, weights: torch.Tensor, progress: float) -> Losses:
        with_states = view.states is not None
        logits, hidden = packed_pass(self.student, batch.student, batch.student_keep, self.inv_freq, self.settings.attention, with_states)
        apart = distance(read_states(self.norms, hidden, batch.student_read), view.states) if with_states else None
        if self.settings.weighting and not self._asks_gaps:
            weights = self._by_own_gap(batch, view, logits, progress)
        if self.settings.loss == "kl":
            summed = weighted_kl(logits, view.logits, weights)
        else:
            summed = weighted_cross_entropy(logits, batch.labels, weights)
        right = (logits.detach().argmax(-1) == batch.labels).sum()
        sums = {"loss": float(summed.detach()), "weight": float(weights.sum()), "right": float(right)}
        sums |= {"targets": float(len(batch.labels)), "tokens": float(batch.student.tokens)}
        if apart is not None:
            sums |= {"distance": float(apart.detach()), "read": float(_read(batch))}
        if view.full is not None:
            sums |= {"gap": float((view.block - view.full)[batch.in_block].sum()), "in_block": float(batch.in_block.sum())}
        pull = None if apart is None else self.settings.states * apart
        return Losses(summed, pull, weights, sums, float(weights.max()))

    def _over_processes(self, sums: torch.Tensor) -> torch.Tensor:
        return self.accelerator.reduce(sums, "sum") if self.accelerator.num_processes > 1 else sums

    def _figures(self, sums: dict[str, float], weight_max: float) -> dict[str, float]:
        row = torch.tensor([[*(sums[name] for name in SUMS), weight_max]], dtype=torch.float64, device=self.accelerator.device)
        rows = self.accelerator.gather(row) if self.accelerator.num_processes > 1 else row
        whole = dict(zip(SUMS, rows[:, :-1].sum(0).tolist(), strict=True))
        figures = {"loss": whole["loss"] / whole["weight"], "token_accuracy": whole["right"] / whole["targets"]}
        figures |= {"targets": whole["targets"], "tokens": whole["tokens"]}
        if self._asks_gaps:
            figures["teacher_gap"] = whole["gap"] / max(1.0, whole["in_block"])
        if self.settings.weighting:
            figures["weight_max"] = float(rows[:, -1].max())
        if self.norms is not None:
            figures["state_distance"] = whole["distance"] / max(1.0, whole["read"])
        return figures


def _read(batch: Batch) -> int:
    """m: the tokens whose states are compared."""
    return 0 if batch.student_read is None else len(batch.student_read)
