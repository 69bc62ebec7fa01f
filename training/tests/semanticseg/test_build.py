"""The whole builder over a small corpus: splits, levels, giveaways, going on after a stop."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from blockstitch_training.evaluation.labelled_cases import read_labelled
from blockstitch_training.semanticseg.__main__ import main
from blockstitch_training.semanticseg.build import build, plan_shards
from blockstitch_training.semanticseg.build_settings import load_settings
from blockstitch_training.semanticseg.document import CATEGORIES
from blockstitch_training.semanticseg.pool import split_of
from blockstitch_training.semanticseg.shards import read_shards
from blockstitch_training.semanticseg.source_documents import ADAPTERS

from .corpus import write_corpus


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    corpus = tmp_path_factory.mktemp("corpus")
    config = write_corpus(corpus)
    out = tmp_path_factory.mktemp("out")
    assert main(["build", "--config", str(config), "--out", str(out)]) == 0
    return config, out


def rows_of(out: Path) -> list[dict]:
    return [row for split in ("train", "dev", "test") for row in read_shards(out / split)]


def test_every_category_and_split_has_its_rows(built):
    config, out = built
    rows = rows_of(out)
    assert {row["category"] for row in rows} == set(CATEGORIES)
    planned = Counter()
    for plan in plan_shards(load_settings(config)):
        planned[plan.split] += plan.rows
    assert Counter(row["split"] for row in rows) == planned
    assert len({row["id"] for row in rows}) == len(rows)


def test_rows_have_one_level_a_boundary_and_tokens_in_range(built):
    for row in rows_of(built[1]):
        assert len(row["levels"]) == len(row["segments"]) - 1 >= 1
        assert set(row["levels"]) <= {1, 2, 3, 4}
        assert all(segment.strip() for segment in row["segments"])
        assert 300 <= row["length_tokens"] <= 3_000, (row["id"], row["length_tokens"])
        assert row["license"] and row["source"] and row["provenance"]


def test_no_source_group_is_in_two_splits(built):
    config, out = built
    settings = load_settings(config)
    seen: dict[str, set[str]] = {}
    for row in rows_of(out):
        for document in row["provenance"].split(" | "):
            if not document.startswith("generated/"):
                seen.setdefault(document, set()).add(row["split"])
    assert seen and all(len(splits) == 1 for splits in seen.values())
    groups = [json.loads(line)["group"] for path in (out / "pool").glob("*.jsonl") for line in path.open()]
    assert {split_of(group, settings) for group in groups} == {"train", "dev", "test"}


def test_headings_numbers_and_senders_do_not_stay_in_the_text(built):
    for row in rows_of(built[1]):
        text = "\n".join(row["segments"])
        if row["category"] in ("web", "news", "papers", "specifications", "legal", "manuals", "books"):
            assert "First look" not in text and "On bees" not in text and "Article 1" not in text and "CHAPTER" not in text
        if row["category"] == "email":
            assert "Subject:" not in text and "example.com" not in text


def test_an_empty_line_says_nothing_about_boundaries(built):
    """Among paragraph gaps, those at boundaries are empty lines about as often as those inside segments."""
    inside, at_boundaries = Counter(), Counter()
    for row in rows_of(built[1]):
        if row["category"] not in ("web", "news", "papers"):
            continue
        for segment in row["segments"][:-1]:
            at_boundaries[segment.endswith("\n")] += 1
        for segment in row["segments"]:
            body = segment.strip("\n")
            inside[True] += body.count("\n\n")
            inside[False] += body.count("\n") - 2 * body.count("\n\n")
    share_at = at_boundaries[True] / at_boundaries.total()
    assert 0.2 < share_at < 0.95
    assert inside[True] > 0 and inside[False] > 0


def test_a_second_build_writes_nothing_and_a_lost_shard_comes_back_the_same(built, tmp_path):
    config, out = built
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    before = {path.relative_to(out): path.read_bytes() for path in out.rglob("*-*.jsonl")}
    lost = sorted(path for path in (copy / "train").glob("*.jsonl"))[:3]
    for path in lost:
        path.unlink()
    (copy / "train" / "books-0000.partial").write_text("cut off in the mid")
    settings = load_settings(config)
    counts = build(settings, copy)
    assert counts["rows"] == sum(len(before[path.relative_to(copy)].splitlines()) for path in lost)
    assert {path.relative_to(copy): path.read_bytes() for path in copy.rglob("*-*.jsonl")} == before
    assert build(settings, copy)["rows"] == 0


def test_another_seed_gives_other_documents(built, tmp_path):
    config, out = built
    settings = dataclasses.replace(load_settings(config), seed=4)
    build(settings, tmp_path)
    first = {row["id"]: row["segments"] for row in rows_of(out)}
    assert any(first.get(row["id"]) != row["segments"] for row in rows_of(tmp_path))


def test_the_card_counts_what_was_written(built):
    card = (built[1] / "CARD.md").read_text()
    assert f"{len(rows_of(built[1])):,} instances" in card
    assert all(f"| {category} |" in card for category in CATEGORIES)
    assert (built[1] / "card-boundaries.png").stat().st_size > 1_000


def test_a_sample_leaves_out_sources_that_may_not_be_passed_on(built, tmp_path):
    assert main(["sample", "--shards", str(built[1] / "train"), "--out", str(tmp_path), "--rows", "1", "--without", "letters,talks"]) == 0
    rows = list(read_shards(tmp_path))
    assert rows and all("letters" not in row["source"] and "talks" not in row["source"] for row in rows)


def test_the_evaluation_reads_the_shards(built):
    texts = read_labelled(built[1] / "test", "semanticseg", most=1)
    assert {each.category for each in texts} == set(CATEGORIES)
    for each in texts:
        units = each.text.encode("utf-16-le")
        assert all(units[2 * (offset - 1) : 2 * offset].decode("utf-16-le") == "\n" for offset, _ in each.gold)


def test_a_wrong_configuration_names_what_is_wrong(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('[[source]]\nname = "a"\ncategory = "web"\nadapter = "markdown"\nfiles = ["x"]\ncolour = "red"\n')
    with pytest.raises(ValueError, match="colour"):
        load_settings(path)
    path.write_text('[[source]]\nname = "a"\ncategory = "web"\nadapter = "markdown"\nfiles = ["{nowhere}/x"]\n')
    with pytest.raises(ValueError, match="nowhere"):
        load_settings(path)
    path.write_text('[[source]]\nname = "a"\ncategory = "songs"\nadapter = "markdown"\nfiles = ["x"]\n')
    with pytest.raises(ValueError, match="songs"):
        build(load_settings(path), tmp_path / "out")


def test_files_are_named_the_same_wherever_their_folder_is(built):
    documents = {document for row in rows_of(built[1]) for document in row["provenance"].split(" | ")}
    assert any(document.startswith("notes/{corpus}/md/") for document in documents)
    assert not any("/tmp" in document for document in documents)


def test_the_configuration_that_is_shipped_can_be_read_and_its_sample_is_whole():
    folder = Path(__file__).parents[2] / "semanticseg"
    settings = load_settings(folder / "debian.toml")
    assert all(source.adapter in ADAPTERS and source.category in CATEGORIES and source.license != "unknown" for source in settings.sources)
    rows = list(read_shards(folder / "sample"))
    assert len({row["category"] for row in rows}) == 14
    assert all(len(row["levels"]) == len(row["segments"]) - 1 for row in rows)
