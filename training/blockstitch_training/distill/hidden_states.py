"""The loss over hidden states: what the student's layers read behind stitched blocks is drawn to what the teacher's read.

A question has few answer tokens, and each of them gives one distribution to learn from. The layers read far more: for every token t of a
final block or of an acting block (question and header too), and for every layer l,

    n_l(h) = rms_norm(h) * g_l                                  the layer's input norm, with the teacher's frozen weights g_l;
                                                                and the model's own last norm, which the head reads
    d(t)   = mean_l |n_l(student_l,t) - n_l(teacher_l,t)|^2 / |n_l(teacher_l,t)|^2
    D      = sum_t d(t) / number of t                           over all micro-batches and processes of a step

The step's loss is L + lambda D (`states` in distill_settings.py; L in step_loss.py). This part is not in the abstract of arXiv 2605.15913.
Matching states layer by layer is known from TinyBERT (arXiv 1909.10351, section 3.1); student and teacher have the same shape here, so no
projection stands between them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel


def input_norms(teacher: PreTrainedModel) -> list[torch.nn.Module]:
    """The norm before each layer's attention. @raise ValueError for a model without them"""
    layers = teacher.get_decoder().layers
    if not all(hasattr(layer, "input_layernorm") for layer in layers):
        raise ValueError(f"{type(teacher).__name__} has no norm before its attention: leave `states` at 0")
    return [layer.input_layernorm for layer in layers]


def read_states(norms: Sequence[torch.nn.Module], hidden: Sequence[torch.Tensor], places: torch.Tensor) -> list[torch.Tensor]:
    """
    @param hidden input [1, T, H] of each layer, and behind them the output of the last norm
    @param places int64 [m] in the packed row
    @returns what each layer but the first, and the head, read there, [m, H] float32. The first layer reads embeddings alone
    """
    chosen = [states[0].index_select(0, places).float() for states in hidden]
    return [*(norm(states) for norm, states in zip(norms[1:], chosen[1:-1], strict=True)), chosen[-1]]


def distance(student: Sequence[torch.Tensor], teacher: Sequence[torch.Tensor]) -> torch.Tensor:
    """sum_t d(t), scalar with gradient. @param student, teacher of `read_states`, at the same m >= 1 tokens"""
    total = student[0].new_zeros(())
    for mine, wanted in zip(student, teacher, strict=True):
        total = total + ((mine - wanted).square().sum(-1) / wanted.square().sum(-1)).sum()
    return total / len(student)
