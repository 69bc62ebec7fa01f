"""The served path: starts `blockstitch serve` on a free loopback port, asks it what PyTorch was asked, and compares.

Weights and KV are float32 unless asked otherwise, so that the path differs and the rounding does not. It knows the HTTP interface and
nothing of models.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from ..demo.question_sets import Asked
from ..distill.segmenting import COMMAND, ROOT

READY_SECONDS = 300


class Served:
    """A running server, to be used as a context manager. @raise RuntimeError with the server's own words where it does not start"""

    def __init__(self, checkpoint: Path, weights: str = "fp32", kv_dtype: str = "float32", arguments: Sequence[str] = ()):
        """@param arguments more options of `serve`; they win over those given here"""
        if shutil.which("node") is None or not COMMAND.exists():
            raise RuntimeError(f"the server is not built: `make build` writes {COMMAND}")
        self.directory = tempfile.TemporaryDirectory(prefix="blockstitch-evaluate-")
        command = [
            "node", str(COMMAND), "serve", "--port", "0", "--model", str(Path(checkpoint).resolve()), "--weights", weights, "--kv-dtype", kv_dtype,
            "--store-dir", f"{self.directory.name}/store", "--import-cache", f"{self.directory.name}/imports", "--log-level", "error", *arguments,
        ]  # fmt: skip
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BLOCKSTITCH_") and name != "REDIS_URL"}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        self.url = self._wait()

    def _wait(self) -> str:
        """Reads the server's output until it is ready. A watchdog ends the server where that takes too long."""
        watchdog = threading.Timer(READY_SECONDS, self._kill)
        watchdog.start()
        said = []
        try:
            for line in self.process.stdout:
                said.append(line)
                found = re.search(r"ready: (http://\S+)/docs", line)
                if found:
                    threading.Thread(target=self._drain, daemon=True).start()
                    return found.group(1)
        finally:
            watchdog.cancel()
        self.close()
        raise RuntimeError(f"the server did not start: {''.join(said).strip()}")

    def _drain(self) -> None:
        for _ in self.process.stdout:
            pass

    def _kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self._kill()
        self.directory.cleanup()

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def post(self, path: str, body: dict) -> dict:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.code} {error.read().decode()[:500]}") from error

    def chat(self, asked: Asked, attention: object, limit: int, logprobs: bool = False) -> dict:
        """@param attention "full", "block", or an object with `mode` and `repair`"""
        documents = [{"text": text, **({"title": title} if title else {})} for text, title in zip(asked.documents, asked.titles, strict=True)]
        return self.post("/v1/chat/completions", {
            "messages": [{"role": "user", "content": asked.question}], "documents": documents, "attention": attention, "max_tokens": limit,
            "temperature": 0, **({"logprobs": True, "top_logprobs": 5} if logprobs else {}),
        })  # fmt: skip

    def answers(self, asked: Sequence[Asked], attention: object, limit: int) -> list[str]:
        return [self.chat(each, attention, limit)["choices"][0]["message"]["content"] for each in asked]


def agreement(served: Sequence[str], computed: Sequence[str]) -> dict[str, object]:
    """Share of equal texts, and the first few that differ."""
    pairs = list(zip(served, computed, strict=True))
    unequal = [{"served": left, "pytorch": right} for left, right in pairs if left != right]
    return {"questions": len(pairs), "equal": 1 - len(unequal) / max(1, len(pairs)), "differences": unequal[:3]}
