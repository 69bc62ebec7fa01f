"""The client with typed helpers: answers, streams, documents, jobs. `generated.api` has a function for every route."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import httpx

from .batch import NDJSON, DocumentResult, lines_of, results
from .errors import UnexpectedAnswer
from .events import JobChange, chunks, job_changes, raise_refusal, response_changes
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


class Blockstitch:
    """A client of one server. Close it, or use it in a `with` statement.

    base_url    such as `http://127.0.0.1:8080`
    api_key     if the server has keys
    cache_salt  separates what this client stores from what others store

    Every call raises `BlockstitchError` if the server refuses it, and `UnexpectedAnswer` if the answer is not its own.
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        self.api.get_httpx_client().close()

    def chat(self, request: ChatCompletionRequest) -> ChatCompletion:
        """Answers a conversation over documents."""
        return self._send("POST", CHAT, ChatCompletion.from_dict, {**request.to_dict(), "stream": False})

    def stream_chat(self, request: ChatCompletionRequest) -> Iterator[ChatCompletionChunk]:
        """The answer in chunks, as they come."""
        with self._stream("POST", CHAT, {**request.to_dict(), "stream": True}) as response:
            yield from chunks(response, ChatCompletionChunk.from_dict)

    def complete(self, request: CompletionRequest) -> Completion:
        """Continues a prompt behind cached blocks."""
        return self._send("POST", COMPLETIONS, Completion.from_dict, {**request.to_dict(), "stream": False})

    def stream_completion(self, request: CompletionRequest) -> Iterator[CompletionChunk]:
        """The text in chunks, as they come."""
        with self._stream("POST", COMPLETIONS, {**request.to_dict(), "stream": True}) as response:
            yield from chunks(response, CompletionChunk.from_dict)

    def respond(self, request: ResponseRequest) -> ResponseObject:
        """Answers in the form of OpenAI's responses."""
        return self._send("POST", RESPONSES, ResponseObject.from_dict, {**request.to_dict(), "stream": False})

    def stream_response(self, request: ResponseRequest) -> Iterator[ResponseChange]:
        """The events of a response, as they come."""
        with self._stream("POST", RESPONSES, {**request.to_dict(), "stream": True}) as response:
            yield from response_changes(response)

    def segment(self, request: SegmentRequest) -> SegmentList:
        """How a text would be cut into blocks."""
        return self._send("POST", SEGMENT, SegmentList.from_dict, request.to_dict())

    def ingest(self, document: DocumentRequest) -> Document:
        """Returns when every block of the document is computed and stored."""
        return self._send("POST", DOCUMENTS, Document.from_dict, {**document.to_dict(), "background": False})

    def ingest_in_background(self, document: DocumentRequest) -> Job:
        """Returns at once. `watch_job` and `finish_job` follow the job."""
        return self._send("POST", DOCUMENTS, Job.from_dict, {**document.to_dict(), "background": True})

    def ingest_many(self, documents: Iterable[DocumentRequest]) -> Iterator[DocumentResult]:
        """Ingests many documents. Results come in their order, each as soon as it is done. One that fails ends no other."""
        client = self.api.get_httpx_client()
        with client.stream("POST", DOCUMENT_BATCH, content=lines_of(documents), headers=NDJSON) as response:
            if not response.is_success:
                response.read()
                raise_refusal(response)
            yield from results(response)

    def get_document(self, id: str) -> Document:
        """One document with its text."""
        return self._send("GET", document_path(id), Document.from_dict)

    def delete_document(self, id: str) -> DocumentDeleted:
        """Drops a document and its blocks."""
        return self._send("DELETE", document_path(id), DocumentDeleted.from_dict)

    def documents(self) -> Iterator[Document]:
        """Every document, page by page, without texts and blocks."""
        after: str | None = None
        while True:
            listed = self._send("GET", DOCUMENTS, DocumentList.from_dict, params=page(after))
            yield from listed.data
            if not listed.has_more or listed.last_id is None:
                return
            after = listed.last_id

    def get_job(self, id: str) -> Job:
        """The job as it is now."""
        return self._send("GET", job_path(id), Job.from_dict)

    def cancel_job(self, id: str) -> Job:
        """Ends a job. One that had ended before stays as it is."""
        return self._send("DELETE", job_path(id), Job.from_dict)

    def watch_job(self, id: str) -> Iterator[JobChange]:
        """The job's changes as they come, up to its end."""
        with self._stream("GET", f"{job_path(id)}/events") as response:
            yield from job_changes(response)

    def finish_job(self, id: str) -> Job:
        """Waits for the job's end. Its `status` says how it ended."""
        last: Job | None = None
        for change in self.watch_job(id):
            last = change.job
        if last is None:
            raise UnexpectedAnswer("the job has no events")
        return last

    def _send(
        self,
        method: str,
        path: str,
        read: Callable[[Mapping[str, Any]], T],
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> T:
        response = self.api.get_httpx_client().request(method, path, json=body, params=params)
        raise_refusal(response)
        return read(response.json())

    @contextmanager
    def _stream(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Iterator[httpx.Response]:
        with self.api.get_httpx_client().stream(method, path, json=body) as response:
            if not response.is_success:
                response.read()
                raise_refusal(response)
            yield response
