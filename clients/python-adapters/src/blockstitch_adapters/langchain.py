"""LangChain: a chat model that takes documents, and a chain that gives it what a retriever found.

It knows LangChain's documents and runnables and the field `documents` of the server. Everything else is ChatOpenAI's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.prompts import BasePromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_openai import ChatOpenAI

DocumentLike = Document | str | Mapping[str, Any]


def as_documents(found: Iterable[DocumentLike]) -> list[dict[str, Any]]:
    """What a retriever found, in the order in which it is stitched, as the server takes it.

    A document's `title` in its metadata goes in front of its text, as part of its first block. Other metadata is not
    sent. A mapping is sent as it is: `{"id": ...}` names a document that was ingested before.
    """
    return [_as_document(document) for document in found]


def _as_document(document: DocumentLike) -> dict[str, Any]:
    if isinstance(document, str):
        return {"text": document}
    if isinstance(document, Mapping):
        return dict(document)
    title = document.metadata.get("title")
    return {"text": document.page_content, **({"title": title} if isinstance(title, str) and title else {})}


class ChatBlockstitch(ChatOpenAI):
    """ChatOpenAI with `documents`: `llm.invoke(question, documents=found)`, or `llm.bind(documents=found)`.

    An answer's `response_metadata["blockstitch"]` is the server's report: blocks, where they were found, timings.
    """

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        documents: Sequence[DocumentLike] | None = kwargs.pop("documents", None)
        payload = super()._get_request_payload(input_, stop=stop, **kwargs)
        if documents is not None:
            payload["extra_body"] = {**(payload.get("extra_body") or {}), "documents": as_documents(documents)}
        return payload

    def _create_chat_result(self, response: Any, generation_info: dict[str, Any] | None = None) -> ChatResult:
        result = super()._create_chat_result(response, generation_info)
        report = response.get("blockstitch") if isinstance(response, dict) else getattr(response, "blockstitch", None)
        for generation in result.generations:
            if report is not None and isinstance(generation.message, AIMessage):
                generation.message.response_metadata["blockstitch"] = report
        return result

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        made = super()._convert_chunk_to_generation_chunk(chunk, default_chunk_class, base_generation_info)
        if made is not None and chunk.get("blockstitch") is not None:
            made.message.response_metadata["blockstitch"] = chunk["blockstitch"]
        return made


def create_documents_chain(
    llm: ChatBlockstitch, prompt: BasePromptTemplate[Any], *, document_variable_name: str = "context"
) -> Runnable[dict[str, Any], str]:
    """`create_stuff_documents_chain`, but the documents are blocks of their own instead of text in the prompt.

    `prompt` has the question and no place for the documents. The chain takes a dict with the prompt's variables and the
    documents under `document_variable_name`, and gives the answer's text; it streams and batches.
    """

    def ask(values: dict[str, Any]) -> Runnable[Any, BaseMessage]:
        rest = {name: value for name, value in values.items() if name != document_variable_name}
        messages = prompt.invoke(rest)
        return RunnableLambda(lambda _: messages) | llm.bind(documents=values[document_variable_name])

    return RunnableLambda(ask).with_config(run_name="documents_chain") | StrOutputParser()
