"""ChatBlockstitch and its chain against a served demo model; run by test/e2e/frameworks.test.ts.

It knows LangChain and the protocol, nothing of the server behind it.
"""

from __future__ import annotations

import asyncio
import os

import pytest
from blockstitch_adapters.langchain import ChatBlockstitch, as_documents, create_documents_chain
from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate

FAIR = Document("Zesuni is hosted by Gulati. Zesuni is held in Milalo.", metadata={"title": "Fairs", "page": 3})
PERSON = Document("Vikiri rents rooms in Murumo. Vikiri has been there since 1996.")
QUESTION = "Who hosts Zesuni?"
ANSWER = "Zesuni is hosted by Gulati."


@pytest.fixture(scope="module")
def llm() -> ChatBlockstitch:
    base_url = f"{os.environ['BLOCKSTITCH_URL']}/v1"
    return ChatBlockstitch(base_url=base_url, api_key="none", model="demo", temperature=0, max_retries=0)


def test_documents_of_every_kind_become_the_servers() -> None:
    assert as_documents([FAIR, PERSON, "text", {"id": "known"}, Document("x", metadata={"title": 5})]) == [
        {"text": FAIR.page_content, "title": "Fairs"},
        {"text": PERSON.page_content},
        {"text": "text"},
        {"id": "known"},
        {"text": "x"},
    ]


def test_what_was_read_once_is_a_hit_in_another_order(llm: ChatBlockstitch) -> None:
    salted = llm.bind(extra_body={"cache_salt": "langchain"})
    cold = salted.invoke(QUESTION, documents=[FAIR, PERSON])
    assert cold.content == ANSWER
    assert cold.usage_metadata["input_token_details"]["cache_read"] < 10
    warm = salted.invoke(QUESTION, documents=[PERSON, FAIR])
    assert warm.usage_metadata["input_token_details"]["cache_read"] > warm.usage_metadata["input_tokens"] / 2
    kinds = [
        block["origin"] for block in warm.response_metadata["blockstitch"]["blocks"] if block["kind"] == "document"
    ]
    assert kinds == ["pool", "pool"]


def test_a_stream_has_the_text_and_the_report(llm: ChatBlockstitch) -> None:
    whole = None
    for chunk in llm.stream(QUESTION, documents=[FAIR]):
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    assert whole.content == ANSWER
    assert whole.response_metadata["blockstitch"]["timings"]["total_ms"] > 0


def test_without_documents_it_is_chat_openai(llm: ChatBlockstitch) -> None:
    assert "documents" not in (llm._get_request_payload(QUESTION).get("extra_body") or {})
    assert llm._get_request_payload(QUESTION, documents=[])["extra_body"] == {"documents": []}


def test_the_chain_answers_streams_batches_and_awaits(llm: ChatBlockstitch) -> None:
    prompt = ChatPromptTemplate.from_messages([("user", "{input}")])
    chain = create_documents_chain(llm, prompt)
    asked = {"input": QUESTION, "context": [FAIR, PERSON]}
    assert chain.invoke(asked) == ANSWER
    pieces = list(chain.stream(asked))
    assert "".join(pieces) == ANSWER
    assert len([piece for piece in pieces if piece]) > 3
    other = {"input": "Where is Zesuni held?", "context": [FAIR]}
    assert chain.batch([asked, other]) == [ANSWER, "Zesuni is held in Milalo."]
    assert asyncio.run(chain.ainvoke(asked)) == ANSWER
