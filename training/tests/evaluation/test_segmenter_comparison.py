"""The comparison of segmenters: units, tuning on other documents, tables and plots; and the real command where it is built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from blockstitch_training.evaluation import segmenter_comparison
from blockstitch_training.evaluation.__main__ import main
from blockstitch_training.evaluation.labelled_cases import Case, LabelledText, make_cases, read_labelled
from blockstitch_training.evaluation.node_segmenters import NodeSegmenters, SegmenterFailed
from blockstitch_training.evaluation.segmenter_report import comparisons, tables
from blockstitch_training.evaluation.setting_choice import best_setting, cross_tuned, score_document

REPOSITORY = Path(__file__).parents[3]


class LineSplitter(NodeSegmenters):
    """Units are lines: no program is run."""

    def unit_starts(self, texts):
        out = []
        for text in texts:
            lengths = [len(line.encode("utf-16-le")) // 2 + 1 for line in text.split("\n")]
            out.append([sum(lengths[:line]) for line in range(len(lengths))])
        return out


def write_rows(path: Path, documents: int = 6) -> Path:
    rows = []
    for number in range(documents):
        segments = ["\n".join(f"part {part} line {line} of {number} 😀" for line in range(5)) for part in range(4)]
        rows.append({"id": str(number), "category": "talks", "segments": segments, "levels": [1, 2, 1]})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def line_cases(path: Path) -> list[Case]:
    return make_cases(read_labelled(path, "set"), LineSplitter(REPOSITORY))


def perfect_at(target: int):
    """A segmenter that is right at one target length and cuts nowhere at others; `never` never cuts."""

    def cut(segmenter, cases, targets):
        right = [[offset for offset, _ in case.labelled.gold] for case in cases]
        return [right if segmenter == "semantic" and wanted == target else [[] for _ in cases] for wanted in targets]

    return cut


def test_offsets_are_utf_16_and_levels_choose_boundaries(tmp_path):
    case = line_cases(write_rows(tmp_path / "a.jsonl"))[0]
    assert case.units == 20
    assert case.reference(1) == [5, 10, 15] and case.reference(2) == [10]
    assert case.hypothesis([offset for offset, _ in case.labelled.gold]) == [5, 10, 15]


def test_a_cut_inside_a_unit_goes_to_the_nearest_one():
    case = Case(LabelledText("a", "s", "c", "x" * 30, ((20, 1),)), (0, 10, 20))
    assert case.hypothesis([9, 11, 14, 16, 29]) == [1, 2]
    assert case.hypothesis([2]) == []


def test_a_boundary_that_no_sentence_begins_at_becomes_a_unit():
    class NoUnits(NodeSegmenters):
        def unit_starts(self, texts):
            return [[0] for _ in texts]

    case = make_cases([LabelledText("a", "s", "c", "one two\nthree", ((8, 1),))], NoUnits(REPOSITORY))[0]
    assert case.starts == (0, 8) and case.reference(1) == [1]


def test_rows_without_segments_are_named(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"id": "1", "segments": ["a", "b"], "levels": []}\n')
    with pytest.raises(ValueError, match="bad.jsonl:1"):
        read_labelled(path, "set")


def test_a_document_is_judged_at_the_setting_that_is_best_on_others(tmp_path):
    case = line_cases(write_rows(tmp_path / "a.jsonl", 1))[0]
    right = score_document(case, [offset for offset, _ in case.labelled.gold], 1)
    wrong = score_document(case, [], 1)
    scores = {"a": [right, wrong, right, wrong], "b": [wrong, right, wrong, right]}
    chosen, settings = cross_tuned(scores, "f1")
    # Even documents are right under a, which the odd ones do not know.
    assert settings == ["b", "a"]
    assert all(each.exact.f1 == 0 for each in chosen)
    assert best_setting({"a": [wrong], "b": [right]}, "both") == "b"


def test_a_granularity_without_boundaries_says_nothing(tmp_path):
    case = line_cases(write_rows(tmp_path / "a.jsonl", 1))[0]
    assert score_document(case, [], 3) is None


def test_the_trained_segmenter_stands_beside_the_best_baseline(tmp_path):
    cases = line_cases(write_rows(tmp_path / "a.jsonl"))
    found = segmenter_comparison.evaluate("talk", cases, cases[:2], perfect_at(64), ("semantic", "never"), (32, 64), (1, 2), rounds=50)
    by = {(row["segmenter"], row["level"]): row for row in found.results}
    assert by["semantic", 1]["settings"] == ["64"]
    assert by["semantic", 1]["f1"] == 1 and by["semantic", 1]["pk"] == 0
    assert by["semantic", 1]["intervals"]["f1"] == (1, 1)
    assert by["never", 1]["f1"] == 0 < by["never", 1]["pk"]
    # At strength 2 the same cuts are two too many of three.
    assert by["semantic", 2]["precision"] == pytest.approx(1 / 3)
    compared = comparisons(found.results, "semantic")
    assert compared[0]["wins"] and compared[0]["best_f1_by"] == "never"
    report = tables(found.results, "semantic")
    assert "| semantic | 1.000 (1.000 to 1.000) |" in report and "best baseline" in report


def test_without_a_tuning_split_halves_tune_each_other(tmp_path):
    cases = line_cases(write_rows(tmp_path / "a.jsonl"))
    found = segmenter_comparison.evaluate("talk", cases, [], perfect_at(64), ("semantic",), (32, 64), (1,), rounds=20)
    assert found.results[0]["settings"] == ["64", "64"] and found.results[0]["f1"] == 1


def test_rows_of_an_earlier_run_are_taken_over_for_other_segmenters_only(tmp_path):
    rows = [{"segmenter": "semantic", "f1": 0.1}, {"segmenter": "fixed", "f1": 0.2}]
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"objective": "both", "results": rows, "curves": rows}))
    found = segmenter_comparison.taken_over(path, ["semantic"], "both")
    assert found.results == found.curves == rows[1:]
    with pytest.raises(ValueError, match="tuned by both"):
        segmenter_comparison.taken_over(path, ["semantic"], "pk")


def test_a_command_that_fails_says_why(tmp_path):
    (tmp_path / "dist/src/cli").mkdir(parents=True)
    (tmp_path / "dist/src/cli/main.js").write_text("console.error('no model here'); process.exit(3);")
    with pytest.raises(SegmenterFailed, match="no model here"):
        NodeSegmenters(tmp_path).cut("fixed", [("a", "text")], [{}])
    (tmp_path / "dist/src/cli/main.js").write_text("console.log(JSON.stringify({ id: '0:a', error: { message: 'too long' } }));")
    with pytest.raises(SegmenterFailed, match="too long"):
        NodeSegmenters(tmp_path).cut("fixed", [("a", "text")], [{}])


@pytest.mark.skipif(not (REPOSITORY / "dist/src/cli/main.js").exists(), reason="needs `make build`")
def test_the_whole_comparison_runs_over_the_real_segmenters(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", 3)
    arguments = [
        "segmenters",
        "--set",
        f"talk={path}",
        "--out",
        str(tmp_path / "out"),
        "--segmenters",
        "fixed,paragraphs",
        "--trained",
        "paragraphs",
        "--targets",
        "64",
    ]
    assert main(arguments) == 0
    result = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {row["segmenter"] for row in result["results"]} == {"fixed", "paragraphs"}
    assert result["comparisons"][0]["best_f1_by"] == "fixed"
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"talk-f1.png", "talk-pk.png", "talk-targets.png"}
