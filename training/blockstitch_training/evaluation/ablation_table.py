"""The ablation table in Markdown, and its place between two marks of a page."""

from __future__ import annotations

import statistics
from pathlib import Path

from .ablation_plan import PLAIN, Size
from .answer_scores import mean, recovery

BEGIN, END = "<!-- ablations: begin -->", "<!-- ablations: end -->"


def table(results: list[dict], size_name: str, size: Size) -> str:
    """One line per run, its seeds put together. Recovery is over the questions of all seeds."""
    plain = next(each["scores"] for each in results if each["run"] == PLAIN)
    sets = list(plain)
    lines = [
        f"Size `{size_name}`: {size.steps} steps of about {size.tokens} tokens, {size.documents[0]} to {size.documents[1]} documents per context, "
        f"{size.questions} held-out questions per set. Exact answers in %, mean over seeds (± half of largest less smallest); KL to the "
        "teacher on the answers' tokens, in thousandths of a nat; recovery with its 95% bootstrap interval.",
        "",
        "| run | seeds | " + " | ".join(f"{name}: block" for name in sets) + " | 8 documents: full | KL, 8 documents | recovery, 8 documents | recovery, continued | minutes |",
        "| --- " * (len(sets) + 7) + "|",
        "| teacher, full attention | 1 | " + " | ".join(f"{100 * mean(plain[name]['full']['exact']):.1f}" for name in sets)
        + f" | {100 * mean(plain['8 documents']['full']['exact']):.1f} | 0.0 | - | - | - |",
    ]  # fmt: skip
    for name in dict.fromkeys(each["run"] for each in results):
        same = [each for each in results if each["run"] == name]

        def cell(where: str, mode: str, same=same) -> str:
            values = [100 * mean(each["scores"][where][mode]["exact"]) for each in same]
            spread = f" (±{(max(values) - min(values)) / 2:.1f})" if len(values) > 1 else ""
            return f"{statistics.mean(values):.1f}{spread}"

        def recovered(where: str, same=same) -> str:
            copies = len(same)
            value = recovery(
                [score for each in same for score in each["scores"][where]["block"]["exact"]],
                plain[where]["block"]["exact"] * copies,
                plain[where]["full"]["exact"] * copies,
            )
            if value["value"] is None:
                return "no gap"
            low, high = value["interval"]
            return f"{value['value']:.2f} [{low:.2f}, {high:.2f}]"

        kl = 1000 * statistics.mean(each["scores"]["8 documents"]["block"]["kl"] for each in same)
        minutes = statistics.mean(each.get("seconds", 0.0) for each in same) / 60
        cells = [cell(where, "block") for where in sets] + [cell("8 documents", "full"), f"{kl:.1f}", recovered("8 documents"), recovered("8 documents, continued"), f"{minutes:.1f}"]
        lines.append(f"| {name} | {len(same)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write_between_marks(file: Path, text: str) -> None:
    """@raise ValueError where the file has no marks"""
    whole = file.read_text()
    if BEGIN not in whole or END not in whole:
        raise ValueError(f"{file} lacks {BEGIN} ... {END}")
    before, rest = whole.split(BEGIN, 1)
    file.write_text(f"{before}{BEGIN}\n{text}{END}{rest.split(END, 1)[1]}")
