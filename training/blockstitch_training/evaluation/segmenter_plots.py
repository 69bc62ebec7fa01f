"""Plots of a comparison of segmenters: F1 and Pk with intervals by category, and F1 over the target length, for each set. PNG files."""

from __future__ import annotations

from pathlib import Path


def draw_plots(folder: Path, results: list[dict], curves: list[dict]) -> list[Path]:
    """results: rows as in segmenter_report.py. curves: rows of {set, category, level, segmenter, target, f1, pk}. @returns files written"""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []

    def save(figure, name: str) -> None:
        figure.tight_layout()
        figure.savefig(folder / name, dpi=120)
        pyplot.close(figure)
        written.append(folder / name)

    segmenters = list(dict.fromkeys(row["segmenter"] for row in results))
    for name in dict.fromkeys(row["set"] for row in results):
        rows = [row for row in results if row["set"] == name]
        groups = list(dict.fromkeys((row["category"], row["level"]) for row in rows))
        for metric, label in (("f1", "boundary F1, exact (higher is better)"), ("pk", "Pk (lower is better)")):
            figure, axes = pyplot.subplots(figsize=(max(6, 1.1 * len(groups) + 3), 4))
            width = 0.8 / len(segmenters)
            for place, segmenter in enumerate(segmenters):
                mine = {(row["category"], row["level"]): row for row in rows if row["segmenter"] == segmenter}
                at = [index for index, group in enumerate(groups) if group in mine]
                values = [mine[groups[index]][metric] for index in at]
                spans = [mine[groups[index]]["intervals"][metric] for index in at]
                errors = [
                    [max(0, value - low) for value, (low, _) in zip(values, spans, strict=True)],
                    [max(0, high - value) for value, (_, high) in zip(values, spans, strict=True)],
                ]
                axes.bar([index + place * width for index in at], values, width, yerr=errors, label=segmenter, error_kw={"linewidth": 0.8})
            axes.set_xticks(
                [index + 0.4 - width / 2 for index in range(len(groups))],
                [f"{category}\n{level}+" for category, level in groups],
                rotation=60 if len(groups) > 4 else 0,
            )
            axes.set_ylabel(label)
            axes.set_title(name)
            axes.legend(fontsize=7, ncols=3)
            save(figure, f"{name}-{metric}.png")
        figure, axes = pyplot.subplots(figsize=(6, 4))
        for segmenter in segmenters:
            mine = [row for row in curves if row["set"] == name and row["segmenter"] == segmenter]
            targets = sorted({row["target"] for row in mine})
            means = [sum(row["f1"] for row in mine if row["target"] == target) / sum(row["target"] == target for row in mine) for target in targets]
            axes.plot(targets, means, marker="o", label=segmenter)
        axes.set_xscale("log", base=2)
        axes.set_xlabel("target tokens")
        axes.set_ylabel("boundary F1, exact (mean of categories, levels)")
        axes.set_title(name)
        axes.legend(fontsize=7)
        save(figure, f"{name}-targets.png")
    return written
