"""Reads the segmenter's features of documents from the server's own code (src/segment/write-features.ts), so that training and
serving cannot differ. It knows the record's layout and nothing of networks.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[3]
WRITER = REPOSITORY / "dist" / "src" / "segment" / "write-features.js"


@dataclass
class UnitDocument:
    """One document. rows [words], offsets [units + 1], labels [units] (0 or the level behind the unit), starts [units]
    (UTF-16 offsets), values [units, features]. `inside`: number of boundaries that fall inside a unit and cannot be found. topics
    [units, D + 1]: see crop_batches.unit_topics."""

    rows: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    starts: np.ndarray
    values: np.ndarray
    inside: int = 0
    topics: np.ndarray | None = None

    @property
    def units(self) -> int:
        return len(self.labels)


def document_row(segments: list[str], levels: list[int] | None = None) -> dict:
    """The writer's input for segments joined by line breaks. Offsets count UTF-16 units, as JavaScript does."""
    boundaries, at = [], 0
    for segment in segments[:-1]:
        at += utf16_length(segment) + 1
        boundaries.append(at)
    return {"text": "\n".join(segments), "boundaries": boundaries, "levels": list(levels or [1] * len(boundaries))}


def utf16_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def read_documents(rows: Iterable[dict], vocabulary: Path, what: str = "features") -> Iterator[UnitDocument]:
    """Documents in the order of rows {text, boundaries, levels}. what: `features` of units, or `talk`, those of a meeting's course.

    Raises RuntimeError when the writer fails or was not built (`make build`).
    """
    if not WRITER.exists():
        raise RuntimeError(f"{WRITER} is missing: run make build")
    process = subprocess.Popen(["node", str(WRITER), what, str(vocabulary)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin and process.stdout

    def feed() -> None:
        assert process.stdin
        try:
            for row in rows:
                process.stdin.write(json.dumps(row).encode() + b"\n")
            process.stdin.close()
        except BrokenPipeError:
            pass

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    while header := process.stdout.read(16):
        units, words, features, inside = np.frombuffer(header, np.int32)
        take = lambda count: np.frombuffer(process.stdout.read(4 * int(count)), np.int32)  # noqa: E731
        offsets, tokens, labels, starts = take(units + 1), take(words), take(units), take(units)
        values = take(units * features).view(np.float32).reshape(units, features)
        yield UnitDocument(tokens, offsets, labels, starts, values, int(inside))
    feeder.join()
    if process.wait() != 0:
        raise RuntimeError("the feature writer failed")


def pack(documents: Iterable[UnitDocument], path: Path) -> int:
    """Writes documents to one .npz, values as float16. Returns how many."""
    kept = list(documents)
    sizes = np.array([(d.units, len(d.rows)) for d in kept], np.int64).reshape(-1, 2)
    join = lambda parts, empty: np.concatenate(parts) if parts else empty  # noqa: E731
    np.savez(
        path,
        sizes=sizes,
        rows=join([d.rows.astype(np.int32) for d in kept], np.zeros(0, np.int32)),
        offsets=join([d.offsets for d in kept], np.zeros(0, np.int32)),
        labels=join([d.labels.astype(np.int8) for d in kept], np.zeros(0, np.int8)),
        starts=join([d.starts for d in kept], np.zeros(0, np.int32)),
        values=join([d.values.astype(np.float16) for d in kept], np.zeros((0, 0), np.float16)),
    )
    return len(kept)


def unpack(path: Path) -> list[UnitDocument]:
    data = np.load(path)
    arrays = {name: data[name] for name in ("rows", "offsets", "labels", "starts", "values")}
    documents, unit, word, offset = [], 0, 0, 0
    for units, words in data["sizes"]:
        documents.append(
            UnitDocument(
                arrays["rows"][word : word + words],
                arrays["offsets"][offset : offset + units + 1],
                arrays["labels"][unit : unit + units],
                arrays["starts"][unit : unit + units],
                arrays["values"][unit : unit + units],
            )
        )
        unit, word, offset = unit + units, word + words, offset + units + 1
    return documents
