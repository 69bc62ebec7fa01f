"""Paths of the routes that both clients use, and how they open the generated client. Knows no models."""

from urllib.parse import quote

import httpx

from .generated.client import AuthenticatedClient, Client

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
DOCUMENTS = "/v1/documents"
DOCUMENT_BATCH = "/v1/document-batch"
RESPONSES = "/v1/responses"
SEGMENT = "/v1/segment"
PAGE_DOCUMENTS = 100
TIMEOUT_SECONDS = 600.0
"""Requests wait in the server's queue, and the server has a deadline of its own."""


def open_api(
    base_url: str, api_key: str | None, cache_salt: str | None, timeout_seconds: float
) -> AuthenticatedClient | Client:
    """The generated client: with the key, and with the salt in every request."""
    headers = {} if cache_salt is None else {"x-cache-salt": cache_salt}
    timeout = httpx.Timeout(timeout_seconds)
    if api_key is None:
        return Client(base_url, headers=headers, timeout=timeout)
    return AuthenticatedClient(base_url, token=api_key, headers=headers, timeout=timeout)


def document_path(id: str) -> str:
    """Ids may hold any character but `/`, `?`, `#` and control characters."""
    return f"{DOCUMENTS}/{quote(id, safe='')}"


def job_path(id: str) -> str:
    """Of a job that runs in the background."""
    return f"/v1/jobs/{quote(id, safe='')}"


def page(after: str | None) -> dict[str, str]:
    """The query for the documents behind an id."""
    limit = {"limit": str(PAGE_DOCUMENTS)}
    return limit if after is None else {**limit, "after": after}
