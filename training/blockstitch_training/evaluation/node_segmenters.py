"""Runs the TypeScript implementations: the batch command cuts, the project's own splitters give units. It needs `make build`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_UNITS = """
import { createInterface } from 'node:readline';
const { splitSentences } = await import(process.argv[1] + '/src/text/split-sentences.js');
const { splitUnits } = await import(process.argv[1] + '/src/segment/text-units.js');
for await (const line of createInterface({ input: process.stdin })) {
  const text = JSON.parse(line);
  const starts = new Set([...splitSentences(text), ...splitUnits(text)].map(({ start }) => start));
  console.log(JSON.stringify([...starts].sort((a, b) => a - b)));
}
"""


class SegmenterFailed(RuntimeError):
    """The command ended with an error, or its answer does not fit what was asked."""


@dataclass(frozen=True)
class NodeSegmenters:
    """repository: the built checkout. arguments: further ones for the command, such as --model."""

    repository: Path
    arguments: Sequence[str] = field(default_factory=tuple)

    @property
    def dist(self) -> Path:
        return self.repository / "dist"

    def unit_starts(self, texts: Sequence[str]) -> list[list[int]]:
        """@returns UTF-16 offsets at which sentences or lines begin, per text"""
        lines = self._run(["node", "--input-type=module", "-e", _UNITS, str(self.dist)], [json.dumps(each) for each in texts])
        return [json.loads(line) for line in lines]

    def cut(self, segmenter: str, texts: Sequence[tuple[str, str]], settings: Sequence[dict[str, float]]) -> list[list[list[int]]]:
        """Boundaries of each (id, text) as UTF-16 offsets, in the order given, under each of the settings. The command runs once.

        @raises SegmenterFailed when the command fails or a row cannot be cut, with its message
        """
        # All settings of a text one after another: the command keeps what it knows of the last text.
        rows = [(f"{number}:{key}", text, options) for key, text in texts for number, options in enumerate(settings)]
        command = ["node", str(self.dist / "src/cli/main.js"), "segment", "--batch", "--segmenter", segmenter, *self.arguments]
        answers = self._run(command, [json.dumps({"id": key, "text": text, "options": options}) for key, text, options in rows])
        out: list[list[list[int]]] = [[] for _ in settings]
        for index, ((key, _, _), line) in enumerate(zip(rows, answers, strict=True)):
            answer = json.loads(line)
            if answer.get("id") != key or "boundaries" not in answer:
                raise SegmenterFailed(f"{segmenter} on {key}: {answer.get('error', answer)}")
            out[index % len(settings)].append(answer["boundaries"])
        return out

    def _run(self, command: list[str], rows: list[str]) -> list[str]:
        done = subprocess.run(command, input="\n".join(rows) + "\n", capture_output=True, text=True, cwd=self.repository, check=False)
        if done.returncode != 0:
            raise SegmenterFailed(f"{' '.join(command[:2])} ... ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        lines = [line for line in done.stdout.split("\n") if line.strip()]
        if len(lines) != len(rows):
            raise SegmenterFailed(f"{len(rows)} texts went in, {len(lines)} answers came out: {done.stderr.strip()[-500:]}")
        return lines
