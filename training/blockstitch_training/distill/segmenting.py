"""Cuts plain text into blocks: by the project's own segmenter where Node and its build are there, else at blank lines.

Offsets of the segmenter count UTF-16 units, as everywhere in the server. The parts of a text, joined, are the text again. It knows the
segment command and no tokens.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
COMMAND = ROOT / "dist" / "src" / "cli" / "main.js"
BLANK_LINE_CHARACTERS = 800  # paragraphs are joined up to about this length: 200 tokens of English


def segmenter_available() -> bool:
    return shutil.which("node") is not None and COMMAND.exists()


def cut_texts(texts: Sequence[str], checkpoint: Path, segmenter: str = "auto", target_tokens: int = 200, max_tokens: int = 512) -> list[list[str]]:
    """
    @param checkpoint its tokenizer counts the tokens
    @param segmenter  a name of the server's registry, or "blank-lines", which needs no Node
    @returns for each text its blocks, in order; joined they are the text
    @raise RuntimeError with the segmenter's own message where it fails
    """
    if segmenter == "blank-lines" or (segmenter == "auto" and not segmenter_available()):
        return [cut_at_blank_lines(text) for text in texts]
    command = [
        "node", str(COMMAND), "segment", "--batch", "--model", str(checkpoint), "--segmenter", segmenter,
        "--target-tokens", str(target_tokens), "--max-block-tokens", str(max_tokens),
    ]  # fmt: skip
    lines = "".join(json.dumps({"id": str(index), "text": text}) + "\n" for index, text in enumerate(texts))
    ran = subprocess.run(command, input=lines, capture_output=True, text=True)
    if ran.returncode != 0:
        raise RuntimeError(f"the segmenter failed: {ran.stderr.strip() or ran.stdout.strip()}")
    cuts: dict[int, list[int]] = {}
    for line in filter(None, ran.stdout.split("\n")):
        row = json.loads(line)
        if "boundaries" not in row:
            raise RuntimeError(f"the segmenter gave no boundaries for text {row.get('id')}: {line[:200]}")
        cuts[int(row["id"])] = row["boundaries"]
    return [cut_at(text, cuts[index]) for index, text in enumerate(texts)]


def cut_at(text: str, boundaries: Sequence[int]) -> list[str]:
    """@param boundaries UTF-16 offsets, ascending; 0 and the end may be among them"""
    units = text.encode("utf-16-le")
    borders = sorted({0, len(units) // 2, *boundaries})
    return [units[2 * start : 2 * end].decode("utf-16-le") for start, end in zip(borders, borders[1:], strict=False)]


def cut_at_blank_lines(text: str) -> list[str]:
    """Paragraphs; short ones are joined."""
    blocks: list[str] = []
    for paragraph in re.findall(r".+?(?:\n\s*\n|\Z)", text, flags=re.DOTALL):
        if blocks and len(blocks[-1]) + len(paragraph) <= BLANK_LINE_CHARACTERS:
            blocks[-1] += paragraph
        else:
            blocks.append(paragraph)
    return blocks
