"""DocumentsSynthesizer against a served demo model; run by test/e2e/frameworks.test.ts.

It knows LlamaIndex and the protocol, nothing of the server behind it.
"""

from __future__ import annotations

import asyncio
import json
import os
from urllib.request import urlopen

import pytest
from blockstitch_adapters.llamaindex import DocumentsSynthesizer
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.llms.openai_like import OpenAILike

TEXTS = ["Zesuni is hosted by Gulati. Zesuni is held in Milalo.", "Vikiri rents rooms in Murumo since 1996."]
QUESTION = "Who hosts Zesuni?"
ANSWER = "Zesuni is hosted by Gulati."


class Found(BaseRetriever):
    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text=text), score=1.0) for text in TEXTS]


@pytest.fixture(scope="module")
def llm() -> OpenAILike:
    base = f"{os.environ['BLOCKSTITCH_URL']}/v1"
    return OpenAILike(
        api_base=base,
        api_key="none",
        model="demo",
        is_chat_model=True,
        context_window=4096,
        temperature=0,
        max_retries=0,
    )


def engine(llm: OpenAILike, **options: object) -> RetrieverQueryEngine:
    return RetrieverQueryEngine(Found(), response_synthesizer=DocumentsSynthesizer(llm=llm, **options))


def hit_tokens() -> float:
    with urlopen(f"{os.environ['BLOCKSTITCH_URL']}/v1/cache") as answer:  # noqa: S310
        return json.load(answer)["hit_tokens"]["pool"]


def test_a_query_engine_answers_from_nodes_and_names_them(llm: OpenAILike) -> None:
    response = engine(llm).query(QUESTION)
    assert str(response) == ANSWER
    assert [each.node.get_content() for each in response.source_nodes] == TEXTS


def test_nodes_are_blocks_that_are_found_again(llm: OpenAILike) -> None:
    engine(llm).query(QUESTION)
    before = hit_tokens()
    engine(llm).query("Where is Zesuni held?")
    assert hit_tokens() >= before + 20


def test_it_streams_and_awaits(llm: OpenAILike) -> None:
    assert "".join(engine(llm, streaming=True).query(QUESTION).response_gen) == ANSWER

    async def both() -> tuple[str, str]:
        whole = await engine(llm).aquery(QUESTION)
        stream = await engine(llm, streaming=True).aquery(QUESTION)
        return str(whole), "".join([piece async for piece in stream.async_response_gen()])

    assert asyncio.run(both()) == (ANSWER, ANSWER)


def test_a_system_message_stands_in_front(llm: OpenAILike) -> None:
    messages, body = DocumentsSynthesizer(llm=llm, system="Be brief.")._request(QUESTION, TEXTS)
    assert [(message.role.value, message.content) for message in messages] == [
        ("system", "Be brief."),
        ("user", QUESTION),
    ]
    assert body == {"documents": [{"text": text} for text in TEXTS]}
