"""The official `openai` package for Python against a served demo model; run by openai-python.test.ts.

    BLOCKSTITCH_URL=http://127.0.0.1:8080 training/.venv/bin/python -m pytest test/e2e/test_openai_client.py

It knows the package and the protocol, nothing of the server behind it.
"""

from __future__ import annotations

import json
import os

import openai
import pytest
from openai import OpenAI
from openai.types.responses import ResponseFunctionToolCall

DOCUMENTS = [
    {"title": "Fairs", "text": "The Zokego fair is held in Lima. The host of the Zokego fair is Sobako."},
    {"title": "People", "text": "Tolefi works as a baker. The home of Tolefi is Rasu."},
]
QUESTION = [{"role": "user", "content": "Who hosts the Zokego fair?"}]


@pytest.fixture(scope="module")
def client() -> OpenAI:
    return OpenAI(base_url=f"{os.environ['BLOCKSTITCH_URL']}/v1", api_key="none", max_retries=0)


def ask(client: OpenAI, **fields):
    arguments = {"model": "demo", "messages": QUESTION, "temperature": 0, "max_tokens": 12, **fields}
    return client.chat.completions.create(**arguments)


def test_chats_over_documents_and_finds_them_cached_in_another_order(client: OpenAI) -> None:
    cold = ask(client, extra_body={"documents": DOCUMENTS})
    assert cold.choices[0].message.role == "assistant"
    assert cold.choices[0].finish_reason in ("stop", "length")
    assert cold.usage.total_tokens == cold.usage.prompt_tokens + cold.usage.completion_tokens
    again = ask(client, extra_body={"documents": DOCUMENTS[::-1]})
    # All but the question itself: both documents and the template around them.
    assert again.usage.prompt_tokens_details.cached_tokens > again.usage.prompt_tokens / 2
    origins = {block["origin"] for block in again.model_extra["blockstitch"]["blocks"] if block["kind"] == "document"}
    assert origins == {"pool"}


def test_streams_the_text_that_it_gets_in_one_piece(client: OpenAI) -> None:
    whole = ask(client, extra_body={"documents": DOCUMENTS})
    stream = ask(client, extra_body={"documents": DOCUMENTS}, stream=True, stream_options={"include_usage": True})
    text, usage, reasons = "", None, []
    for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            if choice.finish_reason:
                reasons.append(choice.finish_reason)
        usage = chunk.usage or usage
    assert text == whole.choices[0].message.content
    assert reasons == [whole.choices[0].finish_reason]
    assert usage.completion_tokens == whole.usage.completion_tokens
    assert usage.prompt_tokens_details.cached_tokens > 0


def test_completes_behind_blocks_with_logprobs(client: OpenAI) -> None:
    answer = client.completions.create(
        model="demo",
        prompt="The host of the fair is",
        max_tokens=4,
        temperature=0,
        logprobs=2,
        extra_body={"blocks": [document["text"] for document in DOCUMENTS]},
    )
    assert len(answer.choices[0].logprobs.tokens) == answer.usage.completion_tokens
    assert all(logprob <= 0 for logprob in answer.choices[0].logprobs.token_logprobs)


def test_lists_the_model(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["demo"]
    assert client.models.retrieve("demo").id == "demo"


FIND_HOST = {
    "type": "function",
    "name": "find_host",
    "description": "Finds who hosts a fair.",
    "parameters": {
        "type": "object",
        "properties": {"fair": {"type": "string", "maxLength": 16}},
        "required": ["fair"],
        "additionalProperties": False,
    },
    "strict": True,
}


def test_calls_a_function_and_goes_on_with_what_it_gave(client: OpenAI) -> None:
    shared = {"model": "demo", "tools": [FIND_HOST], "temperature": 0, "max_output_tokens": 400}
    asked = {**shared, "tool_choice": "required", "parallel_tool_calls": False}
    first = client.responses.create(input=QUESTION, **asked)
    assert (first.status, first.tools[0].name, first.tool_choice) == ("completed", "find_host", "required")
    [call] = first.output
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.name, list(json.loads(call.arguments))) == ("find_host", ["fair"])

    with client.responses.stream(input=QUESTION, **asked) as stream:
        events = list(stream)
        [streamed] = stream.get_final_response().output
    deltas = [event for event in events if event.type == "response.function_call_arguments.delta"]
    assert "".join(event.delta for event in deltas) == deltas[-1].snapshot == streamed.arguments == call.arguments
    assert [event.sequence_number for event in events] == list(range(len(events)))

    result = {"type": "function_call_output", "call_id": call.call_id, "output": "Sobako hosts it."}
    history = [*QUESTION, *(item.model_dump() for item in first.output), result]
    second = client.responses.create(input=history, **{**shared, "max_output_tokens": 12})
    assert [item.type for item in second.output] == ["message"]
    assert second.usage.input_tokens > first.usage.input_tokens


@pytest.mark.parametrize(
    ("fields", "exception", "code", "param"),
    [
        ({"model": "other"}, openai.NotFoundError, "model_not_found", "model"),
        ({"temperature": -1}, openai.BadRequestError, "invalid_request", "temperature"),
        ({"temperature": "hot"}, openai.BadRequestError, "invalid_request", "temperature"),
        ({"max_tokens": 100_000}, openai.BadRequestError, "context_length_exceeded", "max_tokens"),
        ({"extra_body": {"documents": [{"text": " "}]}}, openai.BadRequestError, "empty_input", "documents[0].text"),
        ({"extra_body": {"documents": [{"id": "no"}]}}, openai.NotFoundError, "document_not_found", "documents[0].id"),
        ({"extra_body": {"documents": [{"text": "x"}] * 300}}, openai.APIStatusError, "payload_too_large", "documents"),
    ],
)
def test_raises_its_own_exceptions(client: OpenAI, fields: dict, exception: type, code: str, param: str) -> None:
    for stream in (False, True):
        with pytest.raises(exception) as caught:
            ask(client, stream=stream, **fields)
        assert caught.value.code == code
        assert caught.value.param == param
        assert caught.value.body["message"] in str(caught.value)


def test_not_a_number_is_refused_by_the_package_or_by_the_server(client: OpenAI) -> None:
    """Packages before 3.0 write NaN into their JSON, which the server answers with 400; this one does not send it."""
    with pytest.raises((openai.BadRequestError, ValueError)):
        ask(client, temperature=float("nan"))
