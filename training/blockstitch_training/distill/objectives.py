"""Losses over trained tokens: forward KL to the teacher (distillation) and cross-entropy (block fine-tuning).

    KL(t) = sum_v p(v | t) (log p(v | t) - log q(v | t)),   p: teacher under full attention, q: student
    L     = sum_t w(t) KL(t) / sum_t w(t)
"""

from __future__ import annotations

import torch
from torch.nn import functional

CHUNK = 1024  # rows in float32 at a time; a vocabulary of 150,000 takes 0.6 GB a copy


class WeightedKL(torch.autograd.Function):
    """sum_t w(t) KL(p_t || q_t). The forward pass makes the gradient w(t) (q_t - p_t) in the logits' own dtype, so that no float32 copy
    of all logits lives between the passes. Student rows may be longer than the teacher's: p is 0 there."""

    @staticmethod
    def forward(ctx, student: torch.Tensor, teacher: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """student [n, V + k], teacher [n, V], weights [n] -> scalar float32"""
        total = student.new_zeros((), dtype=torch.float32)
        gradient = torch.empty_like(student)
        vocabulary = teacher.shape[1]
        for at in range(0, len(student), CHUNK):
            rows = slice(at, at + CHUNK)
            log_q = functional.log_softmax(student[rows].float(), dim=-1)
            log_p = functional.log_softmax(teacher[rows].float(), dim=-1)
            p = log_p.exp()
            weight = weights[rows].float()
            total += ((p * (log_p - log_q[:, :vocabulary])).sum(-1) * weight).sum()
            slope = log_q.exp_()
            slope[:, :vocabulary] -= p
            gradient[rows] = slope * weight[:, None]
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx, upstream: torch.Tensor):
        (gradient,) = ctx.saved_tensors
        return gradient * upstream.to(gradient.dtype), None, None


def weighted_kl(student: torch.Tensor, teacher: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return WeightedKL.apply(student, teacher, weights)


def weighted_cross_entropy(student: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """sum_t -w(t) log q(label_t); student [n, V], labels [n], weights [n]"""
    return (functional.cross_entropy(student.float(), labels, reduction="none") * weights).sum()
