"""The pool of source documents on disk: one JSONL file per source, written once without near-duplicates, read by category and split."""

from __future__ import annotations

import hashlib
import json
import os
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from random import Random

from .boilerplate import repeated_lines, without_lines
from .build_settings import BuildSettings, SourceSettings
from .document import Piece, SourceDocument
from .near_duplicates import NearDuplicates
from .source_documents import read_documents

SPLITS = ("train", "dev", "test")


def split_of(group: str, settings: BuildSettings) -> str:
    """The split of a source group, by its hash and the seed. It never depends on what else is built."""
    digest = hashlib.sha256(f"{settings.seed}\x1f{group}".encode("utf-8", "replace")).digest()
    at = int.from_bytes(digest[:8], "little") / 2**64
    if at < settings.test_share:
        return "test"
    return "dev" if at < settings.test_share + settings.dev_share else "train"


def fill_pool(folder: Path, settings: BuildSettings, report: Callable[[str, int, int], None] = lambda *_: None) -> None:
    """Reads each source that is not in the pool yet. report(source, kept, left out) is called per source.

    A source's file is complete or absent. It is renamed into place, and a stamp of the settings that made it lies beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source in settings.sources:
        target, stamp = folder / f"{source.name}.jsonl", folder / f"{source.name}.stamp"
        mark = hashlib.sha256(repr((source, settings.duplicate_threshold)).encode()).hexdigest()
        if target.exists() and stamp.exists() and stamp.read_text() == mark:
            report(source.name, sum(1 for _ in target.open()), 0)
            continue
        kept, dropped = write_source(target, source, settings)
        stamp.write_text(mark)
        report(source.name, kept, dropped)


def write_source(target: Path, source: SourceSettings, settings: BuildSettings) -> tuple[int, int]:
    """Holds one source in memory. @returns how many documents were kept, and how many were near-duplicates of its earlier ones"""
    duplicates = NearDuplicates(settings.duplicate_threshold)
    partial = target.with_suffix(".partial")
    kept = dropped = 0
    documents = list(read_documents(source))
    repeated = repeated_lines(documents) if source.strip_repeated else frozenset()
    with partial.open("w") as out:
        for document in documents:
            document = without_lines(document, repeated)
            if document.characters < source.min_characters:
                continue
            if not duplicates.add("\n".join(piece.text for piece in document.pieces)):
                dropped += 1
                continue
            row = {**document.__dict__, "pieces": [[piece.text, piece.strength, piece.title] for piece in document.pieces]}
            out.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace").decode() + "\n")
            kept += 1
    os.replace(partial, target)
    return kept, dropped


class Pool:
    """Documents of one split by category, drawn by size, so that a source of many small files does not crowd out the long ones."""

    def __init__(self, documents: Iterable[SourceDocument], split: str = "train") -> None:
        self.split = split
        self.by_category: dict[str, list[SourceDocument]] = {}
        for document in documents:
            self.by_category.setdefault(document.category, []).append(document)
        self._sums = {name: list(accumulate(min(each.characters, 40_000) ** 0.7 for each in members)) for name, members in self.by_category.items()}
        self.by_group: dict[str, list[SourceDocument]] = {}
        for members in self.by_category.values():
            for each in members:
                self.by_group.setdefault(each.group, []).append(each)

    def categories(self) -> list[str]:
        return sorted(self.by_category)

    def draw(self, rng: Random, category: str) -> SourceDocument:
        """@raises KeyError where the category has no document in this split"""
        sums = self._sums[category]
        members = self.by_category[category]
        return members[min(len(members) - 1, bisect(sums, rng.random() * sums[-1]))]


def read_pool(folder: Path, settings: BuildSettings, split: str) -> Iterator[SourceDocument]:
    for source in settings.sources:
        path = folder / f"{source.name}.jsonl"
        with path.open() as lines:
            for line in lines:
                row = json.loads(line)
                if split_of(row["group"], settings) == split:
                    row["pieces"] = tuple(Piece(*piece) for piece in row["pieces"])
                    yield SourceDocument(**row)
