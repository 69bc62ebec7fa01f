"""Structured output and tools of the Python frameworks, under 20 drawn schemas; run by frameworks.test.ts.

    BLOCKSTITCH_URL=http://127.0.0.1:8080 build/frameworks/bin/python -m pytest test/e2e/test_frameworks.py

Each schema is asked for in ten ways: streamed and not, as an answer's form and as a function's arguments. Every
answer must parse and validate. It knows the frameworks and the protocol, nothing of the server behind it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from typing import Annotated, Any, Literal

import jsonschema
import litellm
import pytest
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import Tool
from haystack.utils import Secret
from langchain_openai import ChatOpenAI
from llama_index.core.llms import ChatMessage as LlamaMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel, Field, create_model

BASE = f"{os.environ['BLOCKSTITCH_URL']}/v1"
QUESTION = "Who hosts Zesuni?"
WORDS = ["name", "place", "month", "host", "year", "colour", "size", "kind"]
MOST_TOKENS = 700
litellm.suppress_debug_info = True


def drawn_field(rng: random.Random, depth: int) -> tuple[Any, Any]:
    """A type and its default: every value of it is short, so that a small model comes to an end."""
    low = rng.randint(-50, 50)
    leaves = [
        Annotated[str, Field(max_length=rng.randint(3, 10))],
        Annotated[int, Field(ge=low, le=low + rng.randint(1, 300))],
        bool,
        Literal[tuple(rng.sample(["red", "green", "dark blue", "Ü", 'a "b"'], 3))],
        Literal["yes", "no"] | None,
        Annotated[list[Literal["a", "b"]], Field(min_length=1, max_length=3)],
    ]
    if depth > 0 and rng.random() < 0.25:
        return drawn_model(rng, depth - 1), ...
    return rng.choice(leaves), ...


def drawn_model(rng: random.Random, depth: int) -> type[BaseModel]:
    names = rng.sample(WORDS, rng.randint(1, 4))
    return create_model(f"Drawn{rng.randint(0, 10**6)}", **{name: drawn_field(rng, depth) for name in names})


MODELS = [drawn_model(random.Random(seed), 2) for seed in range(20)]


def expect_fit(model: type[BaseModel], value: Any) -> None:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    elif isinstance(value, str):
        value = json.loads(value)
    jsonschema.validate(value, model.model_json_schema())
    model.model_validate(value)


def last(stream: Any) -> Any:
    *_, value = stream
    return value


@pytest.mark.parametrize("index", range(len(MODELS)))
def test_langchain(index: int) -> None:
    model = MODELS[index]
    llm = ChatOpenAI(
        base_url=BASE, api_key="none", model="demo", temperature=1, seed=index, max_tokens=MOST_TOKENS, max_retries=0
    )
    formed = llm.with_structured_output(model.model_json_schema() | {"title": "Answer"}, method="json_schema")
    expect_fit(model, formed.invoke(QUESTION))
    expect_fit(model, last(formed.stream(QUESTION)))
    expect_fit(model, llm.with_structured_output(model, method="function_calling").invoke(QUESTION))
    calling = llm.bind_tools([model], tool_choice="any", parallel_tool_calls=False)
    whole = None
    for chunk in calling.stream(QUESTION):
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    assert [call["name"] for call in whole.tool_calls] == [model.__name__]
    expect_fit(model, whole.tool_calls[0]["args"])


@pytest.mark.parametrize("index", range(len(MODELS)))
def test_llamaindex(index: int) -> None:
    model = MODELS[index]
    llm = OpenAILike(
        api_base=BASE,
        api_key="none",
        model="demo",
        is_chat_model=True,
        is_function_calling_model=True,
        should_use_structured_outputs=True,
        context_window=4096,
        temperature=1,
        max_tokens=MOST_TOKENS,
        max_retries=0,
        additional_kwargs={"seed": index},
    )
    structured = llm.as_structured_llm(model)
    expect_fit(model, structured.complete(QUESTION).raw)
    expect_fit(model, last(structured.stream_chat([LlamaMessage(role="user", content=QUESTION)])).raw)
    tool = FunctionTool.from_defaults(lambda **_: "done", name="fill", description="Fills.", fn_schema=model)
    answer = llm.chat_with_tools([tool], user_msg=QUESTION, tool_required=True, allow_parallel_tool_calls=False)
    [call] = llm.get_tool_calls_from_response(answer)
    expect_fit(model, call.tool_kwargs)


@pytest.mark.parametrize("index", range(len(MODELS)))
def test_haystack(index: int) -> None:
    model = MODELS[index]
    generator = OpenAIChatGenerator(
        api_key=Secret.from_token("none"),
        api_base_url=BASE,
        model="demo",
        max_retries=0,
        generation_kwargs={"temperature": 1, "seed": index, "max_tokens": MOST_TOKENS},
    )
    question = [ChatMessage.from_user(QUESTION)]
    schema = model.model_json_schema()
    form = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    expect_fit(model, generator.run(question, generation_kwargs={"response_format": form})["replies"][0].text)
    tool = Tool(name="fill", description="Fills.", parameters=schema, function=lambda **_: "done")
    forced = {"tool_choice": "required", "parallel_tool_calls": False}
    pieces: list[Any] = []
    reply = generator.run(question, tools=[tool], generation_kwargs=forced, streaming_callback=pieces.append)[
        "replies"
    ][0]
    assert len(pieces) > 2
    [call] = reply.tool_calls
    expect_fit(model, call.arguments)


@pytest.mark.parametrize("index", range(len(MODELS)))
def test_litellm(index: int) -> None:
    model = MODELS[index]
    common = {
        "model": "openai/demo",
        "api_base": BASE,
        "api_key": "none",
        "messages": [{"role": "user", "content": QUESTION}],
        "temperature": 1,
        "seed": index,
        "max_tokens": MOST_TOKENS,
        "num_retries": 0,
    }
    tool = {"type": "function", "function": {"name": "fill", "parameters": model.model_json_schema()}}
    choice = {"type": "function", "function": {"name": "fill"}}
    chunks = list(litellm.completion(**common, tools=[tool], tool_choice=choice, stream=True))
    whole = litellm.stream_chunk_builder(chunks)
    assert whole.choices[0].finish_reason == "tool_calls"
    expect_fit(model, whole.choices[0].message.tool_calls[0].function.arguments)


def test_overflow_is_recognized() -> None:
    long = [{"role": "user", "content": "too long " * 4000}]
    with pytest.raises(litellm.ContextWindowExceededError):
        litellm.completion(model="openai/demo", api_base=BASE, api_key="none", messages=long, num_retries=0)
    from langchain_core.exceptions import ContextOverflowError

    with pytest.raises(ContextOverflowError):
        ChatOpenAI(base_url=BASE, api_key="none", model="demo", max_retries=0).invoke("too long " * 4000)


def test_several_at_once_in_one_batch() -> None:
    llm = ChatOpenAI(base_url=BASE, api_key="none", model="demo", temperature=0, max_tokens=MOST_TOKENS, max_retries=0)
    formed = llm.with_structured_output(MODELS[0])
    for answer in formed.batch([QUESTION] * 6):
        expect_fit(MODELS[0], answer)
    for answer in asyncio.run(formed.abatch([QUESTION] * 6)):
        expect_fit(MODELS[0], answer)
