"""What each run of `parts` changes, as a picture: a bar of the interval for each, a mark for each seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def draw_parts(effects: Sequence[tuple[str, list[float], float, float]], unit: str, file: Path) -> None:
    """@param effects run, change of each seed, and both ends of the interval of their mean, in order from the top @param file .png or .svg"""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 0.8 + 0.45 * len(effects)))
    for at, (_, seeds, low, high) in enumerate(effects):
        colour = "C2" if high < 0 else "C3" if low > 0 else "0.5"
        axes.plot([low, high], [at, at], color=colour, linewidth=6, solid_capstyle="butt", alpha=0.4)
        axes.plot(sum(seeds) / len(seeds), at, "o", color=colour)
        axes.plot(seeds, [at] * len(seeds), "|", color="black", markersize=12)
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(range(len(effects)), [name for name, *_ in effects])
    axes.set_ylim(len(effects) - 0.4, -0.6)
    axes.set_xlabel(unit)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
