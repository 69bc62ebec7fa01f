"""Block length against answers: what is asked, what is kept, and the paired table, with a server that is made up."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from blockstitch_training.evaluation.granularity import Answer, GranularityPlan, answers, divergence, summary, write_granularity


class Server:
    """Right under full attention and over semantic blocks, wrong over fixed ones."""

    def __init__(self) -> None:
        self.asked: list[dict] = []

    def __call__(self, url: str, body: dict) -> dict:
        self.asked.append(body)
        right = body["attention"] == "full" or body["segmentation"]["segmenter"] == "semantic"
        top = [{"token": "Oslo", "logprob": math.log(0.8 if right else 0.2)}, {"token": "Rome", "logprob": math.log(0.1 if right else 0.7)}]
        length = body.get("segmentation", {}).get("target_tokens", 300)
        return {
            "choices": [{"message": {"content": "Oslo" if right else "Rome"}, "logprobs": {"content": [{"top_logprobs": top}]}}],
            "blockstitch": {"blocks": [{"tokens": 9, "kind": "template"}, {"tokens": length, "kind": "document"}]},
        }


def plan(tmp_path: Path) -> GranularityPlan:
    data = tmp_path / "nq.jsonl"
    data.write_text("".join(json.dumps({"question": "Where?", "answers": ["Oslo"], "documents": [{"title": "T", "text": "It is in Oslo."}]}) + "\n" for _ in range(5)))
    return GranularityPlan("http://server", [data], 4, ["semantic", "fixed"], [50, 100], [0.0, 0.15], 8, tmp_path / "out")


def test_every_row_is_asked_once_under_each_cutting_and_never_again(tmp_path: Path) -> None:
    server = Server()
    found = answers(plan(tmp_path), server)
    assert len(found) == len(server.asked) == 4 * (1 + 2 * 2 * 2)
    assert [each["attention"] for each in server.asked[:3]] == ["full", {"mode": "block", "repair": 0.0}, {"mode": "block", "repair": 0.15}]
    again = answers(plan(tmp_path), server)
    assert again == found and len(server.asked) == len(found)


def test_leads_are_paired_with_fixed_blocks_of_the_same_length(tmp_path: Path) -> None:
    found = answers(plan(tmp_path), Server())
    rows = {(row["segmenter"], row["target"], row["repair"]): row for row in summary(found)}
    assert rows["semantic", 50, 0.0]["contains"] == 1 and rows["fixed", 50, 0.0]["contains"] == 0
    assert rows["semantic", 100, 0.15]["contains_lead"] == 1 and rows["semantic", 100, 0.15]["contains_interval"] == (1, 1)
    assert rows["semantic", 50, 0.0]["kl"] == pytest.approx(0) and rows["fixed", 50, 0.0]["kl"] > 0.5
    assert rows["fixed", 100, 0.0]["tokens"] == 100 and "kl" not in rows["full attention", 0, 0.0]
    assert "| semantic | 50 |" in write_granularity(found, tmp_path / "out")
    assert (tmp_path / "out" / "granularity-nq.svg").exists()


def test_leads_at_the_same_length_lie_between_the_fixed_cuttings_around_it() -> None:
    made = lambda segmenter, target, tokens, kl: Answer("nq", 0, segmenter, target, 0.0, 1.0, 1.0, kl, tokens, {})  # noqa: E731
    found = [made("fixed", 50, 25, 0.9), made("fixed", 100, 50, 0.7), made("fixed", 200, 200, 0.1)]
    found += [made("semantic", 50, 100, 0.3), made("semantic", 100, 10, 0.9), made("semantic", 200, 400, 0.1), made("semantic", 400, 50, 0.7)]
    rows = {row["target"]: row for row in summary(found) if row["segmenter"] == "semantic"}
    assert rows[50]["kl_lead"] == pytest.approx(0.3 - 0.9)
    assert rows[50]["kl_lead_at_length"] == pytest.approx(0.3 - (0.7 + 0.1) / 2)  # 100 is half way from 50 to 200, in logarithms
    assert [rows[target]["kl_lead_at_length"] for target in (100, 200, 400)] == pytest.approx([0, 0, 0])
    assert "kl_lead" not in rows[400]


def test_divergence_is_that_of_the_distributions_where_all_is_named() -> None:
    logs = lambda *shares: {name: math.log(share) for name, share in zip("abc", shares, strict=False)}  # noqa: E731
    assert divergence(logs(0.5, 0.5), logs(0.5, 0.5)) == pytest.approx(0, abs=1e-5)
    assert divergence(logs(0.5, 0.5), logs(0.9, 0.1)) == pytest.approx(0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1), abs=1e-4)
