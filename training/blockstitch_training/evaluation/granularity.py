"""What the length of blocks does to answers: a running server answers public questions over documents cut at each target length.

Rows are those of the RAG files: {"question", "answers", "documents": [{"title", "text"}]}. Every row is asked under full attention once,
and under block attention for each segmenter, target length and share of repair. Answers are kept in a file as they come, so that a second
call goes on where the first stopped. It knows the HTTP interface and nothing of models.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .answer_scores import contains, f1
from .segmentation_metrics import bootstrap_interval
from .segmented_answers import post

SEGMENTERS = ("semantic", "recursive", "fixed")
TARGETS = (50, 100, 200, 400, 800)
REPAIRS = (0.0, 0.15)
METRICS = ("contains", "f1", "kl")
TOP = 20
INSTRUCTION = "Answer with a few words from the documents. {question}"


@dataclass(frozen=True)
class GranularityPlan:
    """Which questions are asked, and how their documents are cut."""

    url: str  # of a running server
    data: list[Path]
    rows: int  # of each file
    segmenters: list[str]
    targets: list[int]
    repairs: list[float]
    new_tokens: int
    out: Path  # folder for answers.jsonl, granularity.json, granularity.md and the plots


@dataclass(frozen=True)
class Cutting:
    """segmenter: empty for full attention."""

    segmenter: str = ""
    target: int = 0
    repair: float = 0.0


@dataclass(frozen=True)
class Answer:
    """One row under one cutting. kl: of the first token's distribution to the one under full attention, in nats; None there.
    tokens: mean length of a document's blocks."""

    data: str
    row: int
    segmenter: str
    target: int
    repair: float
    contains: float
    f1: float
    kl: float | None
    tokens: float
    first: dict[str, float]

    @property
    def key(self) -> tuple:
        return (self.data, self.row, self.segmenter, self.target, self.repair)


def cuttings(plan: GranularityPlan) -> list[Cutting]:
    """Full attention first: the others are compared with it."""
    return [Cutting()] + [Cutting(name, target, repair) for name in plan.segmenters for target in plan.targets for repair in plan.repairs]


def divergence(reference: dict[str, float], other: dict[str, float]) -> float:
    """KL in nats over the reference's likeliest tokens; what both leave out counts as one token. Values are log-probabilities.

    A token that `other` does not name has the share of its least likely one at most, and gets that.
    """
    least = min(other.values(), default=-20.0)
    pairs = [(math.exp(value), math.exp(other.get(token, least))) for token, value in reference.items()]
    rest = max(1e-6, 1 - sum(p for p, _ in pairs)), max(1e-6, 1 - sum(q for _, q in pairs))
    return max(0.0, sum(p * math.log(p / max(q, 1e-9)) for p, q in (*pairs, rest) if p > 0))


def body(row: dict, cutting: Cutting, new_tokens: int) -> dict:
    asked = {
        "messages": [{"role": "user", "content": INSTRUCTION.format(question=row["question"])}],
        "documents": [{"title": each.get("title", ""), "text": each["text"]} for each in row["documents"]],
        "temperature": 0, "max_tokens": new_tokens, "logprobs": True, "top_logprobs": TOP,
    }  # fmt: skip
    if not cutting.segmenter:
        return {**asked, "attention": "full"}
    lengths = {"target_tokens": cutting.target, "max_tokens": 2 * cutting.target}
    return {**asked, "attention": {"mode": "block", "repair": cutting.repair}, "segmentation": {"segmenter": cutting.segmenter, **lengths}}


def read_answer(data: str, number: int, row: dict, cutting: Cutting, reply: dict, full: dict[str, float] | None) -> Answer:
    choice = reply["choices"][0]
    said = choice["message"]["content"] or ""
    tokens = choice["logprobs"]["content"]
    first = {each["token"]: each["logprob"] for each in tokens[0]["top_logprobs"]} if tokens else {}
    blocks = [each["tokens"] for each in reply["blockstitch"]["blocks"] if each["kind"] == "document"]
    return Answer(
        data, number, cutting.segmenter, cutting.target, cutting.repair, contains(said, row["answers"]), f1(said, row["answers"]),
        None if full is None else divergence(full, first), sum(blocks) / max(1, len(blocks)), first,
    )  # fmt: skip


def answers(plan: GranularityPlan, ask: Callable[[str, dict], dict] = post, progress: Callable[[str], None] = lambda _: None) -> list[Answer]:
    """@raises urllib.error.URLError where the server does not answer; what it answered before is kept"""
    plan.out.mkdir(parents=True, exist_ok=True)
    path = plan.out / "answers.jsonl"
    known = {each.key: each for each in _kept(path)}
    wanted: list[Answer] = []
    with path.open("a") as out:
        for file in plan.data:
            for number, row in enumerate(_rows(file, plan.rows)):
                full: dict[str, float] | None = None
                for cutting in cuttings(plan):
                    key = (file.stem, number, cutting.segmenter, cutting.target, cutting.repair)
                    if key not in known:
                        reply = ask(f"{plan.url}/v1/chat/completions", body(row, cutting, plan.new_tokens))
                        known[key] = read_answer(file.stem, number, row, cutting, reply, full)
                        out.write(json.dumps(asdict(known[key])) + "\n")
                        out.flush()
                    wanted.append(known[key])
                    if not cutting.segmenter:
                        full = known[key].first
                progress(f"{file.stem}: {number + 1}")
    return wanted


def _kept(path: Path) -> Iterator[Answer]:
    if path.exists():
        with path.open() as lines:
            for line in lines:
                yield Answer(**json.loads(line))


def _rows(path: Path, most: int) -> list[dict]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line, _ in zip(lines, range(most), strict=False)]


def summary(found: Sequence[Answer]) -> list[dict]:
    """Rows per file and cutting: means, and paired differences to `fixed` with 95% intervals: at the same target (`_lead`), and at the
    same mean length of a block (`_lead_at_length`), because fixed cuts leave more short blocks at a text's end.
    """
    by_cutting: dict[tuple, dict[int, Answer]] = {}
    for each in found:
        by_cutting.setdefault((each.data, each.segmenter, each.target, each.repair), {})[each.row] = each
    out = []
    for (data, segmenter, target, repair), mine in by_cutting.items():
        row = {"data": data, "segmenter": segmenter or "full attention", "target": target, "repair": repair, "questions": len(mine)}
        row["tokens"] = _mean_tokens(mine)
        fixed = {cut[2]: answered for cut, answered in by_cutting.items() if (cut[0], cut[1], cut[3]) == (data, "fixed", repair)}
        for metric in METRICS:
            values = [getattr(each, metric) for each in mine.values()]
            if None in values:
                continue
            row[metric] = sum(values) / len(values)
            if segmenter in ("", "fixed"):
                continue
            if target in fixed:
                row[f"{metric}_lead"], row[f"{metric}_interval"] = _lead(mine, _by_row(fixed[target], metric), metric)
            if fixed:
                beside = _at_length(list(fixed.values()), row["tokens"], metric)
                row[f"{metric}_lead_at_length"], row[f"{metric}_interval_at_length"] = _lead(mine, beside, metric)
        out.append(row)
    return out


def _mean_tokens(answered: dict[int, Answer]) -> float:
    return sum(each.tokens for each in answered.values()) / len(answered)


def _by_row(answered: dict[int, Answer], metric: str) -> dict[int, float]:
    return {number: getattr(each, metric) for number, each in answered.items()}


def _at_length(cuttings: list[dict[int, Answer]], tokens: float, metric: str) -> dict[int, float]:
    """Each row's metric at a mean length, linear in its logarithm between the two cuttings around it; beyond them, that of the nearest."""
    lengths = sorted(((_mean_tokens(each), _by_row(each, metric)) for each in cuttings), key=lambda pair: pair[0])
    above = next((place for place, (length, _) in enumerate(lengths) if length >= tokens), len(lengths) - 1)
    below = above if tokens <= lengths[0][0] or tokens >= lengths[-1][0] else above - 1
    (short, first), (long, second) = lengths[below], lengths[above]
    share = 0.0 if short == long else math.log(tokens / short) / math.log(long / short)
    return {number: (1 - share) * first[number] + share * second[number] for number in first if number in second}


def _lead(mine: dict[int, Answer], beside: dict[int, float], metric: str) -> tuple[float, tuple[float, float]]:
    """Mean of the paired differences, and its 95% interval."""
    pairs = [getattr(each, metric) - beside[number] for number, each in mine.items() if number in beside]
    return sum(pairs) / len(pairs), bootstrap_interval(pairs, lambda drawn: sum(drawn) / len(drawn))


def table(rows: Sequence[dict]) -> str:
    """In the leads of KL, less is better."""
    titles = ["data", "segmenter", "target", "repair", "mean tokens", "contains", "F1", "KL"]
    titles += ["KL against fixed, same target (95%)", "KL against fixed, same mean length (95%)", "contains against fixed, same mean length (95%)"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for row in rows:
        cells = [row["data"], row["segmenter"], str(row["target"] or ""), f"{row['repair']:g}", f"{row['tokens']:.0f}"]
        cells += [f"{100 * row['contains']:.1f}%", f"{row['f1']:.3f}", f"{row['kl']:.3f}" if "kl" in row else ""]
        cells += [_lead_cell(row, "kl", "", 1, 3), _lead_cell(row, "kl", "_at_length", 1, 3), _lead_cell(row, "contains", "_at_length", 100, 1)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _lead_cell(row: dict, metric: str, at: str, scale: float, digits: int) -> str:
    if f"{metric}_lead{at}" not in row:
        return ""
    low, high = row[f"{metric}_interval{at}"]
    return f"{scale * row[f'{metric}_lead{at}']:+.{digits}f} ({scale * low:+.{digits}f} to {scale * high:+.{digits}f})"


def write_granularity(found: Sequence[Answer], out: Path) -> str:
    """Writes granularity.json, granularity.md and one plot a file. @returns the table"""
    rows = summary(found)
    (out / "granularity.json").write_text(json.dumps(rows, indent=1) + "\n")
    report = table(rows)
    (out / "granularity.md").write_text(report)
    _draw(rows, out)
    return report


def _draw(rows: Sequence[dict], out: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    for data in dict.fromkeys(row["data"] for row in rows):
        figure, axes = pyplot.subplots(1, 2, figsize=(10, 4))
        mine = [row for row in rows if row["data"] == data]
        full = next(row for row in mine if row["segmenter"] == "full attention")
        for place, metric in zip(axes, ("contains", "kl"), strict=True):
            for segmenter, repair in dict.fromkeys((row["segmenter"], row["repair"]) for row in mine if row is not full):
                line = [row for row in mine if (row["segmenter"], row["repair"]) == (segmenter, repair)]
                place.plot([row["tokens"] for row in line], [row[metric] for row in line], "o-", label=f"{segmenter}, repair {repair:g}")
            if metric in full:
                place.axhline(full[metric], color="black", linewidth=0.8, label="full attention")
            place.set_xscale("log")
            place.set_xlabel("mean tokens of a block")
            place.set_ylabel(metric)
        axes[0].legend(fontsize=7)
        figure.suptitle(data)
        figure.tight_layout()
        figure.savefig(out / f"granularity-{data}.svg")
        pyplot.close(figure)
