"""Results as Markdown tables: one per set and granularity, and one of F1 by category. They hold figures, and who wins."""

from __future__ import annotations

from collections.abc import Iterable

Result = dict


def tables(results: Iterable[Result], trained: str) -> str:
    """results: rows of {set, category, level, segmenter, settings, **Summary}."""
    rows = list(results)
    parts = []
    for name in dict.fromkeys((row["set"], row["category"], row["level"]) for row in rows):
        mine = [row for row in rows if (row["set"], row["category"], row["level"]) == name]
        parts.append(_one(mine, f"{name[0]}, {name[1]}, boundaries of strength {name[2]} and more ({mine[0]['documents']} documents)"))
    parts.append(_by_category(rows, trained))
    return "\n\n".join(part for part in parts if part) + "\n"


def _one(rows: list[Result], title: str) -> str:
    lines = [
        f"### {title}",
        "",
        "| segmenter | F1 (95%) | F1 within one | precision | recall | Pk (95%) | WindowDiff | B | target tokens |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda each: -each["f1"]):
        low, high = row["intervals"]["f1"]
        low_pk, high_pk = row["intervals"]["pk"]
        lines.append(
            f"| {row['segmenter']} | {row['f1']:.3f} ({low:.3f} to {high:.3f}) | {row['f1_near']:.3f} | {row['precision']:.3f} | {row['recall']:.3f} "
            f"| {row['pk']:.3f} ({low_pk:.3f} to {high_pk:.3f}) | {row['window_diff']:.3f} | {row['similarity']:.3f} | {', '.join(dict.fromkeys(row['settings']))} |"
        )
    return "\n".join(lines)


def comparisons(rows: list[Result], trained: str) -> list[dict]:
    """Per set, category and level: the trained segmenter beside the best baseline of each metric."""
    out = []
    for name in dict.fromkeys((row["set"], row["category"], row["level"]) for row in rows):
        mine = [row for row in rows if (row["set"], row["category"], row["level"]) == name]
        own = next((row for row in mine if row["segmenter"] == trained), None)
        others = [row for row in mine if row["segmenter"] != trained]
        if own is None or not others:
            continue
        best, lowest = max(others, key=lambda row: row["f1"]), min(others, key=lambda row: row["pk"])
        out.append(
            {
                "set": name[0],
                "category": name[1],
                "level": name[2],
                "f1": own["f1"],
                "best_f1": best["f1"],
                "best_f1_by": best["segmenter"],
                "ratio": own["f1"] / best["f1"] if best["f1"] else float("inf"),
                "pk": own["pk"],
                "lowest_pk": lowest["pk"],
                "lowest_pk_by": lowest["segmenter"],
                "wins": own["f1"] > best["f1"] and own["pk"] < lowest["pk"],
            }
        )
    return out


def _by_category(rows: list[Result], trained: str) -> str:
    compared = comparisons(rows, trained)
    if not compared:
        return ""
    lines = [
        f"### {trained} beside the best baseline",
        "",
        "| set | category | strength | F1 | best baseline | ratio | Pk | lowest baseline | wins both |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in compared:
        lines.append(
            f"| {row['set']} | {row['category']} | {row['level']} | {row['f1']:.3f} | {row['best_f1']:.3f} {row['best_f1_by']} | {row['ratio']:.2f} "
            f"| {row['pk']:.3f} | {row['lowest_pk']:.3f} {row['lowest_pk_by']} | {'yes' if row['wins'] else 'no'} |"
        )
    mean = sum(row["f1"] for row in compared) / len(compared)
    best = sum(row["best_f1"] for row in compared) / len(compared)
    lines += ["", f"Mean F1 {mean:.3f} against {best:.3f} (the best baseline of each row): {mean / best if best else float('inf'):.2f} times."]
    return "\n".join(lines)
