"""A running Blockstitch server: cuts texts, continues prompts and answers over documents. It knows the HTTP interface and no data."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass

from .question_files import Passage

SECONDS = 600  # for one answer


class ServerError(RuntimeError):
    """The server cannot be reached, or it refused: its own words."""


@dataclass(frozen=True)
class RunningServer:
    """`url` without a path. The key is the first of BLOCKSTITCH_API_KEYS, as for `blockstitch eval --url`."""

    url: str

    def model(self) -> str:
        return self._ask("/v1/models", None)["data"][0]["id"]

    def cut(self, text: str, target_tokens: int) -> list[str]:
        """@returns segments of about so many tokens, in order; joined they are the text"""
        answer = self._ask("/v1/segment", {"text": text, "segmentation": {"target_tokens": target_tokens}, "include_text": True})
        return [segment["text"] for segment in answer["data"]]

    def continued(self, prompt: str, regex: str, limit: int, temperature: float, seed: int) -> str | None:
        """@returns what follows the prompt, all of which matches `regex`; None where `limit` tokens were not enough for it"""
        settings = {"structured_outputs": {"regex": regex}, "max_tokens": limit, "temperature": temperature, "seed": seed, "attention": "full"}
        return _finished(self._ask("/v1/completions", {"prompt": prompt, **settings}), lambda choice: choice["text"])

    def answered(self, question: str, documents: Sequence[Passage], limit: int) -> str | None:
        """@returns the greedy answer under full attention; None where `limit` tokens were not enough for it"""
        body = {"messages": [{"role": "user", "content": question}], "documents": [each.as_document() for each in documents]}
        answer = self._ask("/v1/chat/completions", {**body, "attention": "full", "max_tokens": limit, "temperature": 0})
        return _finished(answer, lambda choice: choice["message"]["content"])

    def _ask(self, path: str, body: dict | None) -> dict:
        key = os.environ.get("BLOCKSTITCH_API_KEYS", "").split(",")[0].strip()
        headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
        request = urllib.request.Request(self.url.rstrip("/") + path, None if body is None else json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise ServerError(f"{self.url}{path} answered {error.code}: {_reason(error.read())}") from error
        except OSError as error:
            raise ServerError(f"{self.url} cannot be reached: {getattr(error, 'reason', error)}") from error


def _finished(answer: dict, text) -> str | None:
    choice = answer["choices"][0]
    return text(choice).strip() if choice["finish_reason"] == "stop" else None


def _reason(body: bytes) -> str:
    try:
        return json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:300]
