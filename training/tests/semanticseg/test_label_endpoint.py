"""Labelling through an OpenAI-compatible endpoint, against a stand-in on this machine."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from blockstitch_training.semanticseg.__main__ import main
from blockstitch_training.semanticseg.label_endpoint import Endpoint, LabellingFailed, label_document, split_units


class Stand(ThreadingHTTPServer):
    """Answers chat completions: a topic begins at each unit that starts with TOPIC. refusals: statuses to give first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[dict] = []
        self.headers: list[str] = []
        self.refusals: list[int] = []
        self.answer: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(body)
        self.server.headers.append(self.headers.get("Authorization", ""))
        if self.server.refusals:
            self.send_response(self.server.refusals.pop(0))
            self.end_headers()
            return
        units = re.findall(r"^\[(\d+)\] TOPIC", body["messages"][1]["content"], re.M)
        text = self.server.answer or "```json\n" + json.dumps({"boundaries": [{"unit": int(unit), "level": 3} for unit in units]}) + "\n```"
        data = json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def stand():
    server = Stand()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def text_of(topics: int, lines: int) -> str:
    return "\n".join("\n".join([f"TOPIC {topic}", *(f"line {topic}.{line}" for line in range(lines))]) for topic in range(topics))


def test_a_long_document_is_read_in_windows_and_no_boundary_is_lost_or_doubled(stand):
    text = text_of(30, 9)
    segments, levels = label_document(Endpoint(stand.url, "m").ask, text, window=50, overlap=20)
    assert "\n".join(segments) == text
    assert [segment.split("\n")[0] for segment in segments] == [f"TOPIC {topic}" for topic in range(30)]
    assert levels == [3] * 29
    assert len(stand.requests) > 5


def test_the_command_labels_what_is_not_labelled_yet(stand, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    source, out = tmp_path / "plain.jsonl", tmp_path / "labelled.jsonl"
    source.write_text("".join(json.dumps({"id": str(number), "text": text_of(3, 4)}) + "\n" for number in range(3)))
    command = [
        "label",
        "--input",
        str(source),
        "--out",
        str(out),
        "--endpoint",
        stand.url,
        "--model",
        "judge",
        "--category",
        "web",
        "--license",
        "CC0",
    ]
    assert main(command) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["id"] for row in rows] == ["0", "1", "2"]
    assert all(row["category"] == "web" and row["license"] == "CC0" and len(row["segments"]) == 3 and "judge" in row["provenance"] for row in rows)
    assert stand.requests[0]["model"] == "judge" and stand.headers[0] == "Bearer sesame"
    asked = len(stand.requests)
    assert main(command) == 0
    assert len(stand.requests) == asked and len(out.read_text().splitlines()) == 3


def test_a_busy_endpoint_is_asked_again_and_a_refusal_is_not(stand):
    stand.refusals = [429, 503]
    assert Endpoint(stand.url, "m", wait_s=0.01).ask("s", "[1] a\n[2] TOPIC b").count("unit") == 1
    stand.refusals = [401, 401]
    with pytest.raises(LabellingFailed, match="401"):
        Endpoint(stand.url, "m", wait_s=0.01).ask("s", "t")
    assert stand.refusals == [401]
    with pytest.raises(LabellingFailed, match="did not answer"):
        Endpoint("http://127.0.0.1:9/v1", "m", wait_s=0.01, tries=2).ask("s", "t")


def test_an_answer_that_is_no_json_fails_that_document_only(stand, tmp_path):
    stand.answer = "I would cut it in the middle."
    source, out = tmp_path / "plain.jsonl", tmp_path / "labelled.jsonl"
    source.write_text(json.dumps({"id": "x", "text": "a\nb"}) + "\n")
    command = ["label", "--input", str(source), "--out", str(out), "--endpoint", stand.url, "--model", "m", "--category", "web"]
    assert main(command) == 1
    assert out.read_text() == ""
    stand.answer = None
    assert main(command) == 0 and out.read_text().count("\n") == 1


def test_numbers_outside_the_text_are_forgiven():
    segments, levels = label_document(lambda *_: '{"boundaries": [{"unit": 1}, {"unit": 3, "level": 9}, {"unit": 99}]}', "a\nb\nc")
    assert segments == ["a\nb", "c"] and levels == [4]


def test_long_lines_are_units_of_sentences():
    assert split_units("short. one\n" + "A long one. " * 30)[:2] == ["short. one", "A long one."]
