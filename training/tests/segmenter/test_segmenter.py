"""The segmenter's training code: small talk with known borders, labels on units, network, calibration, means of weights."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from blockstitch_training.segmenter.chat_grammar import draw_chat
from blockstitch_training.segmenter.feature_stream import WRITER, document_row, pack, read_documents, unpack

if TYPE_CHECKING:
    from blockstitch_training.segmenter.network import SegmenterNetwork

ROOT = Path(__file__).resolve().parents[3]
WORDS = ROOT / "models" / "segmenter" / "words.bin"
needs_writer = pytest.mark.skipif(not WRITER.exists() or not WORDS.exists() or not shutil.which("node"), reason="needs make build and node")


def test_small_talk_is_the_same_for_the_same_seed_and_has_a_level_for_each_boundary() -> None:
    chats = [draw_chat(random.Random(seed), 4) for seed in (5, 5, 6)]
    assert chats[0] == chats[1] != chats[2]
    for chat in chats:
        assert len(chat.levels) == len(chat.segments) - 1
        assert set(chat.levels) <= {1, 3}
        assert all(segment.strip() for segment in chat.segments)


def test_boundaries_count_utf16_units() -> None:
    row = document_row(["a😀", "b"], [2])
    assert row["boundaries"] == [4]
    assert row["text"] == "a😀\nb"


@needs_writer
def test_every_boundary_of_joined_segments_is_the_end_of_a_unit() -> None:
    chat = draw_chat(random.Random(3), 3)
    (document,) = read_documents([document_row(chat.segments, chat.levels)], WORDS)
    assert document.inside == 0
    assert [int(label) for label in document.labels if label] == chat.levels
    assert len(document.rows) == document.offsets[-1]
    assert document.values.shape == (document.units, document.values.shape[1])


@needs_writer
def test_features_read_for_training_are_the_golden_ones() -> None:
    golden = json.loads((ROOT / "test" / "fixtures" / "segmenter" / "features.json").read_text())
    for wanted, document in zip(golden.values(), read_documents([{"text": g["text"]} for g in golden.values()], WORDS), strict=True):
        assert document.rows.tolist() == wanted["rows"]
        np.testing.assert_allclose(document.values, np.array(wanted["values"]).reshape(document.values.shape), atol=1e-5)


@needs_writer
def test_packed_documents_come_back(tmp_path: Path) -> None:
    chat = draw_chat(random.Random(8), 2)
    documents = list(read_documents([document_row(chat.segments, chat.levels)] * 2, WORDS))
    assert pack(documents, tmp_path / "documents.npz") == 2
    for before, after in zip(documents, unpack(tmp_path / "documents.npz"), strict=True):
        assert before.rows.tolist() == after.rows.tolist()
        assert before.labels.tolist() == after.labels.tolist()
        assert before.offsets.tolist() == after.offsets.tolist()


def test_a_boundary_sees_its_surroundings_only() -> None:
    torch = pytest.importorskip("torch")
    from blockstitch_training.segmenter.network import Crops, NetworkConfig, SegmenterNetwork

    torch.manual_seed(0)
    config = NetworkConfig(rows=50, features=4, hidden=16, scales=(1, 2, 4), dilations=(1, 2))
    network = SegmenterNetwork(config).eval()
    torch.nn.init.normal_(network.table.embedding.weight)
    units = 40
    bounds = torch.arange(units + 1) * 3

    def run(rows: torch.Tensor, values: torch.Tensor, owners: torch.Tensor | None) -> torch.Tensor:
        return network(Crops(rows, bounds[:-1], bounds[1:], owners, values, torch.tensor([units])))[0]

    rows, values = torch.randint(0, 50, (units * 3,)), torch.randn(1, units, 4)
    owners = torch.arange(units).repeat_interleave(3)
    first = run(rows, values, owners)
    torch.testing.assert_close(first, run(rows, values, None), atol=1e-4, rtol=1e-4)
    changed = values.clone()
    changed[:, 30:] += 1
    second = run(rows, changed, owners)
    settled = 30 - config.context_units
    torch.testing.assert_close(first[:settled], second[:settled])
    assert not torch.allclose(first[28:], second[28:])


def test_training_goes_on_from_a_checkpoint_that_saw_fewer_features(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from dataclasses import replace

    from blockstitch_training.segmenter.network import Crops, NetworkConfig, SegmenterNetwork
    from blockstitch_training.segmenter.segmenter_checkpoint import go_on_from, save

    torch.manual_seed(0)
    config = NetworkConfig(rows=20, features=4, hidden=16, scales=(1, 2), dilations=(1, 2))
    old = SegmenterNetwork(config).eval()
    torch.nn.init.normal_(old.table.embedding.weight)
    save(old, tmp_path / "old.pt")
    new = SegmenterNetwork(replace(config, features=6)).eval()
    go_on_from(new, tmp_path / "old.pt")
    units = 12
    rows, bounds, values = torch.randint(0, 20, (units * 3,)), torch.arange(units + 1) * 3, torch.randn(1, units, 6)
    levels = [network(Crops(rows, bounds[:-1], bounds[1:], None, part, torch.tensor([units]))) for network, part in ((old, values[..., :4]), (new, values))]
    torch.testing.assert_close(levels[0], levels[1], atol=1e-5, rtol=1e-5)


def test_a_word_table_is_drawn_to_what_the_teacher_says_of_units(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from blockstitch_training.segmenter.feature_stream import UnitDocument
    from blockstitch_training.segmenter.network import NetworkConfig, SegmenterNetwork
    from blockstitch_training.segmenter.segmenter_checkpoint import save
    from blockstitch_training.segmenter.table_distillation import distill, table_of

    words, units, drawn = 40, 30, np.random.default_rng(0)
    meanings = drawn.normal(size=(words, 64))
    documents, vectors = [], []
    for _ in range(24):
        rows = drawn.integers(0, words, (units, 4))
        sums = meanings[rows].sum(1)
        vectors.append(sums / np.linalg.norm(sums, axis=1, keepdims=True))
        documents.append(UnitDocument(rows.reshape(-1), np.arange(units + 1) * 4, np.zeros(units, np.uint8), np.arange(units), np.zeros((units, 4), np.float32)))
    pack(documents, tmp_path / "teacher.npz")
    np.save(tmp_path / "teacher-vectors.npy", np.concatenate(vectors).astype(np.float16))
    torch.manual_seed(0)
    network = SegmenterNetwork(NetworkConfig(rows=words, features=4, hidden=16, scales=(1, 2), dilations=(1, 2)))
    torch.nn.init.normal_(network.table.embedding.weight)
    save(network, tmp_path / "start.pt")

    def likeness_error(table: torch.nn.Module, topic: torch.nn.Module) -> float:
        held_out = documents[-1]
        bounds = torch.from_numpy(held_out.offsets)
        with torch.no_grad():
            means = topic(table.means(torch.from_numpy(held_out.rows), bounds[:-1], bounds[1:], None)[:, :-1])
        own = torch.nn.functional.normalize(means, dim=-1).numpy()
        return float(np.abs((own[1:] * own[:-1]).sum(1) - (vectors[-1][1:] * vectors[-1][:-1]).sum(1)).mean())

    before = likeness_error(*table_of(tmp_path / "start.pt"))
    distill(tmp_path, minutes=0.02, start=tmp_path / "start.pt")
    made = torch.load(tmp_path / "table.pt")
    network.table.load_state_dict(made["table"])
    network.topic.load_state_dict(made["topic"])
    assert likeness_error(network.table, network.topic) < before / 3


def test_training_goes_on_over_a_word_table_drawn_since(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from blockstitch_training.segmenter.network import NetworkConfig, SegmenterNetwork
    from blockstitch_training.segmenter.segmenter_checkpoint import go_on_from, save

    torch.manual_seed(0)
    config = NetworkConfig(rows=20, features=4, hidden=16, scales=(1, 2), dilations=(1, 2))
    old, new = SegmenterNetwork(config), SegmenterNetwork(config)
    torch.nn.init.normal_(new.table.embedding.weight)
    drawn = {name: value.clone() for name, value in new.state_dict().items()}
    save(old, tmp_path / "old.pt")
    go_on_from(new, tmp_path / "old.pt", new_table=True)
    for name, value in new.state_dict().items():
        source = drawn if name.startswith(("table.", "topic.")) else old.state_dict()
        assert torch.equal(value, source[name]), name


def test_calibration_takes_back_log_odds_that_are_too_sure() -> None:
    torch = pytest.importorskip("torch")
    from blockstitch_training.segmenter.calibration import calibrate
    from blockstitch_training.segmenter.crop_batches import Collection
    from blockstitch_training.segmenter.feature_stream import UnitDocument
    from blockstitch_training.segmenter.held_out_f1 import logits_of
    from blockstitch_training.segmenter.network import NetworkConfig, SegmenterNetwork

    torch.manual_seed(0)
    network = SegmenterNetwork(NetworkConfig(rows=20, features=4, hidden=16, scales=(1, 2), dilations=(1, 2))).eval()
    torch.nn.init.normal_(network.levels.weight)
    units, drawn = 4000, np.random.default_rng(0)
    document = UnitDocument(
        drawn.integers(0, 20, units), np.arange(units + 1), np.zeros(units, np.uint8), np.arange(units), drawn.normal(size=(units, 4)).astype(np.float32)
    )
    # Labels are drawn as often as the network says at half its log-odds. Only level 1 occurs, so that levels stay ordered.
    network.levels.weight.data[1:] = 0
    network.levels.bias.data[1:] = -60
    chance = 1 / (1 + np.exp(-logits_of(network, document)[:, 0] / 2))
    document.labels[: len(chance)] = drawn.random(len(chance)) < chance
    before = logits_of(network, document)
    factor = calibrate(network, Collection({"drawn": [document]}))
    assert 0.4 <= factor <= 0.65
    np.testing.assert_allclose(logits_of(network, document), factor * before, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="held-out"):
        calibrate(network, Collection({}))


def test_checkpoints_of_one_shape_have_a_mean(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from blockstitch_training.segmenter.weight_average import average

    for name, config, value in (("a", {"rows": 1, "dropout": 0.0}, 1.0), ("b", {"rows": 1, "dropout": 0.1}, 4.0), ("c", {"rows": 2}, 0.0)):
        torch.save({"config": config, "weights": {"w": torch.full((2,), value)}}, tmp_path / f"{name}.pt")
    average([tmp_path / "a.pt", tmp_path / "b.pt"], tmp_path / "mean.pt")
    assert torch.load(tmp_path / "mean.pt")["weights"]["w"].tolist() == [2.5, 2.5]
    with pytest.raises(ValueError, match="different networks"):
        average([tmp_path / "a.pt", tmp_path / "c.pt"], tmp_path / "none.pt")


def test_exported_files_come_back_as_checkpoints_that_score_alike(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    from blockstitch_training.segmenter.exported_weights import recover
    from blockstitch_training.segmenter.segmenter_checkpoint import load_network

    model = ROOT / "models" / "segmenter"
    checkpoints = recover(model, tmp_path / "shipped.pt")
    assert [each.name for each in checkpoints] == ["shipped.pt", "shipped-2.pt"]
    networks = [load_network(each) for each in checkpoints]
    assert (tmp_path / "words.bin").read_bytes() == (model / "words.bin").read_bytes()
    assert torch.load(tmp_path / "table.pt")["topic"]["weight"].shape == networks[0].topic.weight.shape
    given = drawn_inputs(networks[0].config.rows, networks[0].config.features)
    levels, talk_levels = ReferenceEvaluator(onnx.load(model / "segmenter.onnx")).run(["levels", "talk_levels"], given)
    talk, other = (logits_of_inputs(each, given) for each in networks)
    np.testing.assert_allclose(talk_levels, talk, atol=1e-3)
    np.testing.assert_allclose(levels[:, :4], (talk[:, :4] + other) / 2, atol=1e-3)
    np.testing.assert_allclose(levels[:, 4], talk[:, 4], atol=1e-3)


def drawn_inputs(rows: int, features: int) -> dict[str, np.ndarray]:
    """Twelve units of ten words."""
    drawn = np.random.default_rng(0)
    return {
        "rows": drawn.integers(0, rows, 120).astype(np.int32),
        "offsets": np.arange(0, 121, 10).astype(np.int32),
        "features": drawn.normal(size=(12, features)).astype(np.float32),
    }


def logits_of_inputs(network: SegmenterNetwork, given: dict[str, np.ndarray]) -> np.ndarray:
    import torch

    from blockstitch_training.segmenter.network import Crops

    bounds, values = torch.from_numpy(given["offsets"]).long(), torch.from_numpy(given["features"])[None]
    with torch.no_grad():
        return network(Crops(torch.from_numpy(given["rows"]).long(), bounds[:-1], bounds[1:], None, values, torch.tensor([12])))[0].numpy()


def test_networks_of_one_word_table_are_exported_together(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    from blockstitch_training.segmenter.network import NetworkConfig, SegmenterNetwork
    from blockstitch_training.segmenter.onnx_export import export
    from blockstitch_training.segmenter.segmenter_checkpoint import save

    torch.manual_seed(0)
    first, second = (SegmenterNetwork(NetworkConfig(rows=600, features=features)).eval() for features in (6, 4))
    torch.nn.init.normal_(first.table.embedding.weight)
    second.levels = torch.nn.Linear(second.config.hidden, 4)
    for number, network in enumerate((first, second)):
        save(network, tmp_path / f"{number}.pt")
    with pytest.raises(ValueError, match="different word tables"):
        export([tmp_path / "0.pt", tmp_path / "1.pt"], tmp_path, tmp_path / "model")
    second.table.load_state_dict(first.table.state_dict())
    given = drawn_inputs(600, 6)
    talk, other = logits_of_inputs(first, given), logits_of_inputs(second, given)
    (tmp_path / "words.bin").write_bytes(b"words")
    save(second, tmp_path / "1.pt")
    export([tmp_path / "0.pt", tmp_path / "1.pt"], tmp_path, tmp_path / "model", calibrated=True)
    levels, talk_levels = ReferenceEvaluator(onnx.load(tmp_path / "model" / "segmenter.onnx")).run(["levels", "talk_levels"], given)
    # The file has the word tables in int8 and large matrices in float16.
    np.testing.assert_allclose(talk_levels, talk, atol=2e-2)
    np.testing.assert_allclose(levels[:, :4], (talk[:, :4] + other) / 2, atol=2e-2)
    np.testing.assert_allclose(levels[:, 4], talk[:, 4], atol=2e-2)


def test_training_goes_on_from_a_checkpoint_that_knew_fewer_levels(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from blockstitch_training.segmenter.network import LEVELS, NetworkConfig, SegmenterNetwork
    from blockstitch_training.segmenter.segmenter_checkpoint import RARER, go_on_from, save

    config = NetworkConfig(rows=20, features=4, hidden=16, scales=(1, 2), dilations=(1, 2))
    old = SegmenterNetwork(config)
    old.levels = torch.nn.Linear(config.hidden, LEVELS - 1)
    save(old, tmp_path / "old.pt")
    new = SegmenterNetwork(config)
    go_on_from(new, tmp_path / "old.pt")
    torch.testing.assert_close(new.levels.weight[:-1], old.levels.weight)
    torch.testing.assert_close(new.levels.weight[-1], old.levels.weight[-1])
    assert float((new.levels.bias[-1] - old.levels.bias[-1]).detach()) == pytest.approx(-RARER)
