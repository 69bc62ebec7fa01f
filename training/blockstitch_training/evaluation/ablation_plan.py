"""What the ablation table compares: the runs with their settings and seeds, the question sets, and the sizes.

The sizes are for two CPU cores with bfloat16 matrix units; one GPU takes minutes. It trains and scores nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SHIPPED_TEACHER = Path(__file__).parents[3] / "models" / "demo-teacher"
PLAIN = "plain stitching"


@dataclass(frozen=True)
class Size:
    steps: int
    tokens: int  # per step
    documents: tuple[int, int]
    questions: int  # per evaluated set
    seeds: int  # of the main runs
    compiled: bool = True


RATES = {"learning_rate": 2e-3, "muon_rate": 1e-2}  # those that the demo model is trained with from nothing
SIZES = {
    "smoke": Size(4, 1200, (1, 4), 8, 1, compiled=False),  # seconds: shows that everything runs
    "tiny": Size(100, 4096, (2, 8), 200, 3),
    "small": Size(600, 8192, (1, 16), 400, 3),
}
SETS = {"8 documents": (8, "mixed"), "8 documents, continued": (8, "continued")}
OFF = {"sinks": {"sinks": 0}, "dropout": {"hide": 0.0, "act": 0.0}, "weights": {"weighting": False}}
MAIN = ("distillation", "block fine-tuning", "without sinks", "without dropout", "without weights")


def runs(size: Size) -> dict[str, tuple[dict, int]]:
    """Name to settings that differ from the defaults, and number of seeds. All eight choices of three components are here."""
    made: dict[str, tuple[dict, int]] = {PLAIN: ({}, 1)}
    made["block fine-tuning"] = ({"loss": "ce", **OFF["sinks"], **OFF["dropout"], **OFF["weights"]}, size.seeds)
    for kept in ("sinks dropout weights", "dropout weights", "sinks weights", "sinks dropout", "sinks", "dropout", "weights", ""):
        off = [name for name in OFF if name not in kept.split()]
        changed = {key: value for name in off for key, value in OFF[name].items()}
        if not off:
            name = "distillation"
        elif len(off) == 1:
            name = f"without {off[0]}"
        else:
            name = f"only {kept}" if kept else "bare distillation"
        made[name] = (changed, size.seeds if name in MAIN else 1)
    return made


def planned(size: Size, seeds: int | None, only: list[str] | None) -> list[tuple[str, dict, int]]:
    """
    Name, changed settings and seed of each run, in the order in which they run. It goes seed by seed, so that a table with one seed of
    everything is there first.

    @param seeds of the main runs, in place of the size's own
    @param only  names of the runs to do; plain stitching is always among them
    """
    return [
        (name, changed, seed)
        for seed in range(1, 1 + (seeds or size.seeds))
        for name, (changed, most) in runs(size).items()
        if seed <= max(most, 1) and (not only or name in only or name == PLAIN)
    ]
