"""JSON lines that a run adds to, a row as soon as it is known."""

from __future__ import annotations

import json
from pathlib import Path


class Journal:
    """A context manager that adds rows to a file; the file is made where there is none."""

    def __init__(self, file: Path):
        self.file = file

    def __enter__(self) -> Journal:
        read_rows(self.file)  # what was cut off is taken out before a row is added behind it
        self.out = self.file.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_) -> None:
        self.out.close()

    def add(self, row: dict) -> None:
        self.out.write(json.dumps(row, ensure_ascii=False) + "\n")
        self.out.flush()


def read_rows(file: Path) -> list[dict]:
    """@returns the rows, none where there is no file. A last line that was cut off is taken out of the file"""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    whole, _, cut_off = text.rpartition("\n")
    if cut_off:
        file.write_text(text[: len(text) - len(cut_off)], encoding="utf-8")
    # Not splitlines: it ends lines at U+2028 too, which a string may hold.
    return [json.loads(line) for line in whole.split("\n")] if whole else []
