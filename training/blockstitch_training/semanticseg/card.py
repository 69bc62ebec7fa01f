"""The dataset card of a build: counts, lengths, boundaries by strength, sources and licences, histograms as text and as PNG."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .build_settings import BuildSettings
from .document import CATEGORIES
from .pool import SPLITS, split_of
from .shards import read_shards

_LENGTHS = (0, 2_000, 4_000, 8_000, 16_000, 32_000, 1 << 30)
_SEGMENT_TOKENS = (0, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 1 << 30)


@dataclass
class Tally:
    """Counts over the rows of one category."""

    rows: Counter = field(default_factory=Counter)
    tokens: int = 0
    segments: int = 0
    levels: Counter = field(default_factory=Counter)
    lengths: Counter = field(default_factory=Counter)
    sources: Counter = field(default_factory=Counter)
    documents: set = field(default_factory=set)


def tally(out: Path) -> tuple[dict[str, Tally], Counter]:
    """@returns a tally by category, and segment lengths in tokens by bin over all"""
    tallies = {each: Tally() for each in CATEGORIES}
    segment_lengths: Counter = Counter()
    for split in SPLITS:
        for row in read_shards(out / split):
            mine = tallies[row["category"]]
            mine.rows[split] += 1
            mine.tokens += row["length_tokens"]
            mine.segments += len(row["segments"])
            mine.levels.update(row["levels"])
            mine.lengths[_bin(row["length_tokens"], _LENGTHS)] += 1
            mine.sources.update(row["source"].split(", "))
            mine.documents.update(row["provenance"].split(" | "))
            segment_lengths.update(_bin(len(each.encode("utf-8", "replace")) // 4, _SEGMENT_TOKENS) for each in row["segments"])
    return tallies, segment_lengths


def _bin(value: int, edges: tuple[int, ...]) -> int:
    return max(edge for edge in edges if edge <= value)


def pool_sizes(out: Path, settings: BuildSettings) -> dict[str, dict]:
    """Per source of the filled pool: documents, characters and documents by split."""
    sizes: dict[str, dict] = {}
    for source in settings.sources:
        size = {"documents": 0, "characters": 0, **dict.fromkeys(SPLITS, 0)}
        with (out / "pool" / f"{source.name}.jsonl").open() as lines:
            for line in lines:
                row = json.loads(line)
                size["documents"] += 1
                size["characters"] += sum(len(piece[0]) for piece in row["pieces"])
                size[split_of(row["group"], settings)] += 1
        sizes[source.name] = size
    return sizes


def write_card(out: Path, settings: BuildSettings, plots: bool = True) -> Path:
    """Writes CARD.md (and, with plots, card-*.png) beside the shards."""
    tallies, segment_lengths = tally(out)
    sizes = pool_sizes(out, settings)
    total = sum((each.rows for each in tallies.values()), Counter())
    lines = [
        "# SemanticSeg as built here",
        "",
        f"{total.total():,} instances ({', '.join(f'{total[split]:,} {split}' for split in SPLITS)}), {sum(each.tokens for each in tallies.values()) / 1e6:,.1f} M tokens "
        f"(four UTF-8 bytes each), {sum(each.segments for each in tallies.values()):,} segments, seed {settings.seed}.",
        f"{settings.instances:,} were asked for." if total.total() < settings.instances else "",
        "",
        "An instance is composed of documents of one split; the same document can be in several instances, beside others. The column",
        "`documents` counts the different ones, so that nobody takes the rows for as many independent texts.",
        "",
        "| category | train | dev | test | M tokens | segments | documents | strength 1 | 2 | 3 | 4 |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for category, each in tallies.items():
        strengths = " | ".join(f"{each.levels[level]:,}" for level in (1, 2, 3, 4))
        lines.append(
            f"| {category} | {each.rows['train']:,} | {each.rows['dev']:,} | {each.rows['test']:,} | {each.tokens / 1e6:,.1f} | {each.segments:,} | {len(each.documents):,} | {strengths} |"
        )
    lines += ["", "## Lengths of instances, in tokens", "", *_histogram(sum((each.lengths for each in tallies.values()), Counter()), _LENGTHS)]
    lines += ["", "## Lengths of segments, in tokens", "", *_histogram(segment_lengths, _SEGMENT_TOKENS)]
    lines += ["", "## Sources", "", "Documents after near-duplicates are left out (MinHash, estimated Jaccard similarity "
              f"{settings.duplicate_threshold} and more within a source). Splits are by group (file, package, thread), never by instance.", "",
              "| source | category | documents | M characters | train / dev / test | licence | provenance |", "|---|---|---|---|---|---|---|"]  # fmt: skip
    for source in settings.sources:
        size = sizes[source.name]
        lines.append(
            f"| {source.name} | {source.category} | {size['documents']:,} | {size['characters'] / 1e6:,.1f} | {size['train']} / {size['dev']} / {size['test']} | {source.license} | {source.provenance} |"
        )
    path = out / "CARD.md"
    path.write_text("\n".join(line for line in lines if line is not None) + "\n")
    if plots:
        _draw(out, tallies, segment_lengths)
    return path


def _histogram(counts: Counter, edges: tuple[int, ...]) -> list[str]:
    most = max(counts.values(), default=1)
    rows = []
    for low, high in zip(edges, edges[1:], strict=False):
        label = f"{low:,} and more" if high == edges[-1] else f"{low:,} to {high - 1:,}"
        rows.append(f"    {label:>18} {counts[low]:>10,} {'#' * round(40 * counts[low] / most)}")
    return rows


def _draw(out: Path, tallies: dict[str, Tally], segment_lengths: Counter) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.5))
    names = list(tallies)
    bottom = [0.0] * len(names)
    for level in (1, 2, 3, 4):
        values = [tallies[name].levels[level] / max(1, tallies[name].rows.total()) for name in names]
        axes[0].barh(names, values, left=bottom, label=f"strength {level}")
        bottom = [a + b for a, b in zip(bottom, values, strict=True)]
    axes[0].set_xlabel("boundaries an instance")
    axes[0].legend(fontsize=7)
    edges = [edge for edge in _SEGMENT_TOKENS[:-1]]
    axes[1].bar([str(edge) for edge in edges], [segment_lengths[edge] for edge in edges])
    axes[1].set_xlabel("tokens of a segment, from")
    axes[1].tick_params(axis="x", rotation=45)
    figure.tight_layout()
    figure.savefig(out / "card-boundaries.png", dpi=110)
    pyplot.close(figure)
