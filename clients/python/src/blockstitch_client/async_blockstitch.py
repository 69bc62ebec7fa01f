"""The same client for asyncio: every call is awaited, every stream is an asynchronous iterator."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import httpx

from .batch import NDJSON, DocumentResult, async_lines_of, async_results
from .errors import UnexpectedAnswer
from .events import JobChange, async_chunks, async_job_changes, async_response_changes, raise_refusal
from .generated.client import AuthenticatedClient, Client
from .generated.models import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    Completion,
    CompletionChunk,
    CompletionRequest,
    Document,
    DocumentDeleted,
    DocumentList,
    DocumentRequest,
    Job,
    ResponseChange,
    ResponseObject,
    ResponseRequest,
    SegmentList,
    SegmentRequest,
)
from .routes import (
    CHAT,
    COMPLETIONS,
    DOCUMENT_BATCH,
    DOCUMENTS,
    RESPONSES,
    SEGMENT,
    TIMEOUT_SECONDS,
    document_path,
    job_path,
    open_api,
    page,
)

T = TypeVar("T")


class AsyncBlockstitch:
    """A client of one server. Close it, or use it in an `async with` statement.

    Arguments and errors are those of `Blockstitch`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        cache_salt: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.api: AuthenticatedClient | Client = open_api(base_url, api_key, cache_salt, timeout_seconds)
        """For the functions in `generated.api`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes its connections."""
        await self.api.get_async_httpx_client().aclose()

    async def chat(self, request: ChatCompletionRequest) -> ChatCompletion:
        """Answers a conversation over documents."""
        return await self._send("POST", CHAT, ChatCompletion.from_dict, {**request.to_dict(), "stream": False})

    async def stream_chat(self, request: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        """The answer in chunks, as they come."""
        async with self._stream("POST", CHAT, {**request.to_dict(), "stream": True}) as response:
            async for chunk in async_chunks(response, ChatCompletionChunk.from_dict):
                yield chunk

    async def complete(self, request: CompletionRequest) -> Completion:
        """Continues a prompt behind cached blocks."""
        return await self._send("POST", COMPLETIONS, Completion.from_dict, {**request.to_dict(), "stream": False})

    async def stream_completion(self, request: CompletionRequest) -> AsyncIterator[CompletionChunk]:
        """The text in chunks, as they come."""
        async with self._stream("POST", COMPLETIONS, {**request.to_dict(), "stream": True}) as response:
            async for chunk in async_chunks(response, CompletionChunk.from_dict):
                yield chunk

    async def respond(self, request: ResponseRequest) -> ResponseObject:
        """Answers in the form of OpenAI's responses."""
        return await self._send("POST", RESPONSES, ResponseObject.from_dict, {**request.to_dict(), "stream": False})

    async def stream_response(self, request: ResponseRequest) -> AsyncIterator[ResponseChange]:
        """The events of a response, as they come."""
        async with self._stream("POST", RESPONSES, {**request.to_dict(), "stream": True}) as response:
            async for change in async_response_changes(response):
                yield change

    async def segment(self, request: SegmentRequest) -> SegmentList:
        """How a text would be cut into blocks."""
        return await self._send("POST", SEGMENT, SegmentList.from_dict, request.to_dict())

    async def ingest(self, document: DocumentRequest) -> Document:
        """Returns when every block of the document is computed and stored."""
        return await self._send("POST", DOCUMENTS, Document.from_dict, {**document.to_dict(), "background": False})

    async def ingest_in_background(self, document: DocumentRequest) -> Job:
        """Returns at once. `watch_job` and `finish_job` follow the job."""
        return await self._send("POST", DOCUMENTS, Job.from_dict, {**document.to_dict(), "background": True})

    async def ingest_many(self, documents: Iterable[DocumentRequest]) -> AsyncIterator[DocumentResult]:
        """Ingests many documents. Results come in their order, each as soon as it is done. One that fails ends no other."""
        client = self.api.get_async_httpx_client()
        lines = async_lines_of(documents)
        async with client.stream("POST", DOCUMENT_BATCH, content=lines, headers=NDJSON) as response:
            if not response.is_success:
                await response.aread()
                raise_refusal(response)
            async for result in async_results(response):
                yield result

    async def get_document(self, id: str) -> Document:
        """One document with its text."""
        return await self._send("GET", document_path(id), Document.from_dict)

    async def delete_document(self, id: str) -> DocumentDeleted:
        """Drops a document and its blocks."""
        return await self._send("DELETE", document_path(id), DocumentDeleted.from_dict)

    async def documents(self) -> AsyncIterator[Document]:
        """Every document, page by page, without texts and blocks."""
        after: str | None = None
        while True:
            listed = await self._send("GET", DOCUMENTS, DocumentList.from_dict, params=page(after))
            for document in listed.data:
                yield document
            if not listed.has_more or listed.last_id is None:
                return
            after = listed.last_id

    async def get_job(self, id: str) -> Job:
        """The job as it is now."""
        return await self._send("GET", job_path(id), Job.from_dict)

    async def cancel_job(self, id: str) -> Job:
        """Ends a job. One that had ended before stays as it is."""
        return await self._send("DELETE", job_path(id), Job.from_dict)

    async def watch_job(self, id: str) -> AsyncIterator[JobChange]:
        """The job's changes as they come, up to its end."""
        async with self._stream("GET", f"{job_path(id)}/events") as response:
            async for change in async_job_changes(response):
                yield change

    async def finish_job(self, id: str) -> Job:
        """Waits for the job's end. Its `status` says how it ended."""
        last: Job | None = None
        async for change in self.watch_job(id):
            last = change.job
        if last is None:
            raise UnexpectedAnswer("the job has no events")
        return last

    async def _send(
        self,
        method: str,
        path: str,
        read: Callable[[Mapping[str, Any]], T],
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> T:
        response = await self.api.get_async_httpx_client().request(method, path, json=body, params=params)
        raise_refusal(response)
        return read(response.json())

    @asynccontextmanager
    async def _stream(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> AsyncIterator[httpx.Response]:
        async with self.api.get_async_httpx_client().stream(method, path, json=body) as response:
            if not response.is_success:
                await response.aread()
                raise_refusal(response)
            yield response
