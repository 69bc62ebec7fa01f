"""In which type a run computes, where the command does not say: the faster one of this machine.

A GPU has bfloat16. Of processors nothing but a measurement tells: with AMX bfloat16 is several times as fast as float32, with AVX512-BF16
alone it is faster on some and half as fast on others. A run that is there goes on in its own type.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import torch

TURNS = 5
ROWS, INPUTS, OUTPUTS = 2048, 576, 1536  # a step's tokens through a layer of a small model


def chosen_precision(out: Path | None) -> str:
    """@param out the run's directory @returns "bf16" or "no" (float32)"""
    kept = out / "settings.json" if out else None
    if kept and kept.is_file():
        return json.loads(kept.read_text())["precision"]
    # Processes of one run must agree, and each would measure for itself.
    if torch.cuda.is_available() or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return "bf16"
    return "bf16" if seconds(torch.bfloat16) < seconds(torch.float32) else "no"


def seconds(dtype: torch.dtype) -> float:
    """Of one product of a layer on the processor, the fastest of a few."""
    left, right = torch.ones(ROWS, INPUTS, dtype=dtype), torch.ones(INPUTS, OUTPUTS, dtype=dtype)
    took = []
    for _ in range(TURNS + 1):  # the first one pays for warming up
        started = time.perf_counter()
        left @ right
        took.append(time.perf_counter() - started)
    return min(took[1:])
