"""The client against a served model: every route of the server's own OpenAPI document, streams and job events among them.

Needs BLOCKSTITCH_URL, and BLOCKSTITCH_KEY if the server has keys.
"""

import asyncio
import importlib
import inspect
import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from blockstitch_client import (
    AsyncBlockstitch,
    Blockstitch,
    BlockstitchError,
    ChatCompletionRequest,
    ChatMessage,
    CompletionRequest,
    DocumentInput,
    DocumentRequest,
    ResponseFunctionCall,
    ResponseFunctionCallInput,
    ResponseFunctionCallOutput,
    ResponseFunctionTool,
    ResponseInputMessage,
    ResponseMessage,
    ResponseNamedTool,
    ResponseRequest,
    SegmentRequest,
    StreamOptions,
    UnexpectedAnswer,
    Unset,
)
from blockstitch_client.generated.api.cache import delete_block, get_block
from blockstitch_client.generated.api.operations import get_open_api
from blockstitch_client.generated.models import Block, BlockDeleted

URL = os.environ["BLOCKSTITCH_URL"]
KEY = os.environ.get("BLOCKSTITCH_KEY")
ASKED: set[str] = set()
TEXT = "Zokego is held in Limoga."


def question(**extra: Any) -> ChatCompletionRequest:
    return ChatCompletionRequest(
        messages=[ChatMessage(role="user", content="Where is Zokego held?")],
        documents=[DocumentInput(title="Fairs", text=TEXT)],
        **{"max_tokens": 16, "temperature": 0, **extra},
    )


def remember(request: httpx.Request) -> None:
    ASKED.add(f"{request.method} {unquote(request.url.path)}")


@pytest.fixture(scope="module")
def client() -> Iterator[Blockstitch]:
    with Blockstitch(URL, api_key=KEY, cache_salt="python client") as made:
        made.api.get_httpx_client().event_hooks["request"].append(remember)
        yield made


def test_answers_and_tells_which_blocks_were_used(client: Blockstitch) -> None:
    answer = client.chat(question())
    assert answer.choices[0].message.content == TEXT
    assert answer.blockstitch.blocks[0].kind == "document"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_streams_the_same_answer_in_chunks_and_the_report_at_the_end(client: Blockstitch) -> None:
    text, blocks, tokens = "", 0, 0
    for chunk in client.stream_chat(question(stream_options=StreamOptions(include_usage=True))):
        for choice in chunk.choices:
            text += choice.delta.content or "" if not isinstance(choice.delta.content, Unset) else ""
        blocks += 0 if isinstance(chunk.blockstitch, Unset) else len(chunk.blockstitch.blocks)
        tokens += chunk.usage.total_tokens if chunk.usage else 0
    assert (text, blocks) == (TEXT, 1)
    assert tokens > 0


def test_a_stream_that_is_left_ends_its_request(client: Blockstitch) -> None:
    stream = client.stream_chat(question(max_tokens=200, ignore_eos=True))
    assert next(iter(stream)).object_ == "chat.completion.chunk"
    assert client.chat(question()).choices[0].message.content == TEXT


def test_completes_a_prompt_whole_and_streamed(client: Blockstitch) -> None:
    request = CompletionRequest(blocks=[TEXT], prompt=" Zokego is held in", max_tokens=4, temperature=0)
    whole = client.complete(request)
    streamed = "".join(choice.text for chunk in client.stream_completion(request) for choice in chunk.choices)
    assert streamed == whole.choices[0].text


def test_answers_in_the_form_of_responses_whole_and_streamed(client: Blockstitch) -> None:
    request = ResponseRequest(input_="Where is Zokego held?", documents=[TEXT], temperature=0)
    changes = list(client.stream_response(request))
    text = "".join(change.delta or "" for change in changes)
    [message] = client.respond(request).output
    assert isinstance(message, ResponseMessage)
    assert text == message.content[0].text
    assert changes[-1].type_ == "response.completed"


def test_calls_a_function_in_the_form_of_responses_and_takes_what_it_gave(client: Blockstitch) -> None:
    question = ResponseInputMessage(role="user", content="Who hosts Zokego?")
    tools = [ResponseFunctionTool(type_="function", name="find_host")]
    named = ResponseNamedTool(type_="function", name="find_host")
    asked = ResponseRequest(input_=[question], tools=tools, tool_choice=named)
    changes = list(client.stream_response(asked))
    [call] = [change.item for change in changes if change.type_ == "response.output_item.done"]
    assert isinstance(call, ResponseFunctionCall)
    assert (call.name, call.arguments, call.status) == ("find_host", "{}", "completed")
    made = ResponseFunctionCallInput.from_dict(call.to_dict())
    gave = ResponseFunctionCallOutput(type_="function_call_output", call_id=call.call_id, output="Sobako hosts it.")
    told = ResponseRequest(input_=[question, made, gave], tools=tools, tool_choice="none", max_output_tokens=8)
    [message] = client.respond(told).output
    assert isinstance(message, ResponseMessage)


def test_ingests_lists_reads_and_deletes_documents(client: Blockstitch) -> None:
    stored = client.ingest(DocumentRequest(id="fairs & more", title="Fairs", text=TEXT))
    assert stored.id == "fairs & more"
    assert not isinstance(stored.blocks, Unset)
    hash = stored.blocks[0].hash_
    block = get_block.sync(hash, client=client.api)
    assert isinstance(block, Block) and "pool" in block.tiers
    assert [document.id for document in client.documents()] == ["fairs & more"]
    assert client.get_document(stored.id).text == TEXT
    dropped = delete_block.sync(hash, client=client.api)
    assert isinstance(dropped, BlockDeleted) and dropped.deleted
    assert client.delete_document(stored.id).deleted
    with pytest.raises(BlockstitchError) as raised:
        client.get_document(stored.id)
    assert (raised.value.code, raised.value.status) == ("document_not_found", 404)


def test_ingests_many_documents_with_a_result_for_each(client: Blockstitch) -> None:
    documents = [DocumentRequest(id="first", text=TEXT), DocumentRequest(text=" "), DocumentRequest(id="last", text=TEXT, background=True)]
    first, blank, last = client.ingest_many(documents)
    assert (first.line, first.status, first.id) == (1, "done", "first")
    assert (blank.status, last.status) == ("failed", "accepted")
    assert blank.error is not None and blank.error["code"] == "empty_input"
    assert last.job_id is not None and client.finish_job(last.job_id).status == "done"
    assert client.delete_document("first").deleted and client.delete_document("last").deleted


def test_follows_a_background_ingestion_by_its_events(client: Blockstitch) -> None:
    job = client.ingest_in_background(DocumentRequest(id="later", text=TEXT))
    changes = list(client.watch_job(job.id))
    assert changes[-1].name == "done"
    assert {change.job.document_id for change in changes} == {"later"}
    assert client.finish_job(job.id).status == "done"
    assert client.get_job(job.id).blocks_done == 1
    assert client.cancel_job(job.id).status == "done"


def test_shows_how_a_text_is_cut(client: Blockstitch) -> None:
    cut = client.segment(SegmentRequest(text="One is here. Two is there.", include_text=True))
    assert "".join(segment.text or "" for segment in cut.data) == "One is here. Two is there."


def test_raises_what_the_server_refuses(client: Blockstitch) -> None:
    with pytest.raises(BlockstitchError) as raised:
        client.chat(question(temperature=7))
    assert raised.value.param == "temperature"
    with pytest.raises(BlockstitchError) as raised:
        list(client.stream_chat(question(temperature=7)))
    assert raised.value.code == "invalid_request"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(502, text="<h1>Bad gateway</h1>"), UnexpectedAnswer),
        (httpx.Response(200, text=": only this\n\n", headers={"content-type": "text/event-stream"}), UnexpectedAnswer),
        (
            httpx.Response(
                200,
                text='data: {"error":{"message":"m","code":"c","remedy":"r","param":null,"type":"server_error"}}\n\n',
                headers={"content-type": "text/event-stream"},
            ),
            BlockstitchError,
        ),
    ],
)
def test_tells_an_answer_that_is_not_the_servers(answer: httpx.Response, error: type[Exception]) -> None:
    behind = Blockstitch("http://nowhere")
    behind.api.set_httpx_client(
        httpx.Client(base_url="http://nowhere", transport=httpx.MockTransport(lambda _: answer))
    )
    with pytest.raises(error):
        list(behind.stream_chat(question()))


def test_does_the_same_in_asyncio() -> None:
    async def everything() -> None:
        async with AsyncBlockstitch(URL, api_key=KEY, cache_salt="python client") as client:
            answers = await asyncio.gather(client.chat(question()), client.chat(question()))
            assert {answer.choices[0].message.content for answer in answers} == {TEXT}
            text = ""
            async for chunk in client.stream_chat(question()):
                text += "".join(choice.delta.content or "" for choice in chunk.choices)
            assert text == TEXT
            request = ResponseRequest(input_="Where is Zokego held?", documents=[TEXT], temperature=0)
            assert [change.type_ async for change in client.stream_response(request)][-1] == "response.completed"
            job = await client.ingest_in_background(DocumentRequest(id="async", text=TEXT))
            assert [change.name async for change in client.watch_job(job.id)][-1] == "done"
            assert (await client.finish_job(job.id)).status == "done"
            many = [DocumentRequest(id="many", text=TEXT)]
            assert [result.status async for result in client.ingest_many(many)] == ["done"]
            assert (await client.delete_document("many")).deleted
            assert "async" in [document.id async for document in client.documents()]
            assert (await client.delete_document("async")).deleted
            with pytest.raises(BlockstitchError):
                await client.get_document("async")

    asyncio.run(everything())


def test_every_route_was_asked_those_without_a_helper_by_their_generated_function(client: Blockstitch) -> None:
    document = get_open_api.sync(client=client.api)
    assert document is not None
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]

    def was_asked(method: str, path: str) -> bool:
        pattern = re.compile(f"{method} {re.sub('{[^}]*}', '[^/]+', path)}")
        return any(pattern.fullmatch(each) for each in ASKED)

    for method, path, operation in operations:
        if was_asked(method, path):
            continue
        name = re.sub("(?<=[a-z])(?=[A-Z])", "_", operation["operationId"]).lower()
        function = importlib.import_module(f"blockstitch_client.generated.api.{operation['tags'][0]}.{name}")
        arguments: dict[str, Any] = {"model": "demo"} if "{model}" in path else {}
        if "requestBody" in operation:
            example = operation["requestBody"]["content"]["application/json"]["example"]
            kind = inspect.get_annotations(function.sync_detailed, eval_str=True)["body"]
            arguments["body"] = kind.from_dict(example)
        answer = function.sync_detailed(client=client.api, **arguments)
        assert answer.status_code == 200, f"{method} {path}: {answer}"
    assert [(method, path) for method, path, _ in operations if not was_asked(method, path)] == []
    assert len(operations) > 15
