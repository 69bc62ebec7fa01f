"""Every setting of a training of the demo model: its shape, its learning rates and its batches."""

from __future__ import annotations

from dataclasses import dataclass


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
    text_share: float = 0.25  # share of the other tokens that is drawn for the text loss
    advance_at: float = 0.975
