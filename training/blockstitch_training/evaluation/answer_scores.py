"""Scores of answers, and how sure they are: exact match, token F1, bootstrap intervals, recovery."""

from __future__ import annotations

import random
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

RESAMPLES = 2000
CONFIDENCE = 0.95


def normalized(text: str, punctuation: str = " ", articles: bool = False) -> str:
    """Lower case, without articles and doubled white space, as SQuAD's scorer does it.

    @param punctuation what becomes of ASCII punctuation; in SQuAD's scorer nothing @param articles whether they stay"""
    bare = "".join(punctuation if character in string.punctuation else character for character in text.lower())
    return " ".join((bare if articles else re.sub(r"\b(a|an|the)\b", " ", bare)).split())


def exact(answer: str, accepted: Sequence[str]) -> float:
    return float(any(normalized(answer) == normalized(each) for each in accepted))


def contains(answer: str, accepted: Sequence[str]) -> float:
    """Whether the words of an accepted answer stand in the answer one behind another. Punctuation parts words or is nothing: "U.S." is
    in "the US". Articles count where an accepted answer has nothing else."""
    return float(any(_has_words(answer, each, punctuation) for each in accepted for punctuation in (" ", "")))


def _has_words(answer: str, wanted: str, punctuation: str) -> bool:
    articles = not normalized(wanted, punctuation)
    words = normalized(wanted, punctuation, articles)
    return bool(words) and f" {words} " in f" {normalized(answer, punctuation, articles)} "


def f1(answer: str, accepted: Sequence[str]) -> float:
    """Best harmonic mean of word precision and recall over the accepted answers."""
    return max((_f1(normalized(answer).split(), normalized(each).split()) for each in accepted), default=0.0)


def _f1(given: list[str], wanted: list[str]) -> float:
    if not given or not wanted:
        return float(given == wanted)
    common = sum((Counter(given) & Counter(wanted)).values())
    return 2 * common / (len(given) + len(wanted))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def interval(statistic: Callable[[list[int]], float | None], count: int, seed: int = 0) -> tuple[float | None, float | None]:
    """Percentile bootstrap over `count` questions. `statistic` takes resampled question numbers and gives None where it is undefined.
    The interval is None where the statistic always is."""
    rng = random.Random(seed)
    drawn = [statistic(rng.choices(range(count), k=count)) for _ in range(RESAMPLES)]
    defined = sorted(value for value in drawn if value is not None)
    if not defined:
        return None, None
    edge = (1 - CONFIDENCE) / 2
    return defined[int(edge * (len(defined) - 1))], defined[int((1 - edge) * (len(defined) - 1))]


def mean_interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    return interval(lambda chosen: sum(values[at] for at in chosen) / len(chosen), len(values))


def recovery(student: Sequence[float], plain: Sequence[float], teacher: Sequence[float]) -> dict[str, object]:
    """
    (student block - plain block) / (teacher full - plain block), over the same questions, with a paired bootstrap interval.
    None where there is no gap to recover.
    """

    def ratio(chosen: Sequence[int]) -> float | None:
        gap = sum(teacher[at] - plain[at] for at in chosen)
        return None if gap <= 0 else sum(student[at] - plain[at] for at in chosen) / gap

    value = ratio(range(len(student)))
    low, high = interval(ratio, len(student))
    return {"value": value, "interval": [low, high]}


def with_interval(values: Sequence[float], form: str) -> str:
    """The mean and its interval, each in the format `form`: `0.144 [0.101, 0.190]`."""
    low, high = mean_interval(values)
    return f"{mean(values):{form}} [{low:{form}}, {high:{form}}]"


def recovered_share(mine: Sequence[float], plain: Sequence[float]) -> str:
    """1 - sum KL of a system / sum KL of plain blocks, over the same questions, with its interval: `27% [-38, 61]`; `-` without a gap."""

    def share(chosen: Sequence[int]) -> float | None:
        gap = sum(plain[at] for at in chosen)
        return None if gap <= 0 else 100 * (1 - sum(mine[at] for at in chosen) / gap)

    value = share(range(len(mine)))
    low, high = interval(share, len(mine))
    return "-" if value is None or low is None else f"{value:.0f}% [{low:.0f}, {high:.0f}]"
