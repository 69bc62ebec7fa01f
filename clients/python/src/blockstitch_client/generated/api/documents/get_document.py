from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.document import Document
from ...models.error_response import ErrorResponse
from ...types import UNSET, Response, Unset


def _get_kwargs(
    id: str,
    *,
    include_text: bool | Unset = UNSET,
    cache_salt: str | Unset = UNSET,
    x_cache_salt: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_cache_salt, Unset):
        headers["x-cache-salt"] = x_cache_salt

    params: dict[str, Any] = {}

    params["include_text"] = include_text

    params["cache_salt"] = cache_salt

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/documents/{id}".format(
            id=quote(str(id), safe=""),
        ),
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Document | ErrorResponse | None:
    if response.status_code == 200:
        response_200 = Document.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = ErrorResponse.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = ErrorResponse.from_dict(response.json())

        return response_401

    if response.status_code == 404:
        response_404 = ErrorResponse.from_dict(response.json())

        return response_404

    if response.status_code == 429:
        response_429 = ErrorResponse.from_dict(response.json())

        return response_429

    if response.status_code == 500:
        response_500 = ErrorResponse.from_dict(response.json())

        return response_500

    if response.status_code == 503:
        response_503 = ErrorResponse.from_dict(response.json())

        return response_503

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Document | ErrorResponse]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    id: str,
    *,
    client: AuthenticatedClient | Client,
    include_text: bool | Unset = UNSET,
    cache_salt: str | Unset = UNSET,
    x_cache_salt: str | Unset = UNSET,
) -> Response[Document | ErrorResponse]:
    """One document with its text

    Args:
        id (str):
        include_text (bool | Unset):
        cache_salt (str | Unset):
        x_cache_salt (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Document | ErrorResponse]
    """

    kwargs = _get_kwargs(
        id=id,
        include_text=include_text,
        cache_salt=cache_salt,
        x_cache_salt=x_cache_salt,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    id: str,
    *,
    client: AuthenticatedClient | Client,
    include_text: bool | Unset = UNSET,
    cache_salt: str | Unset = UNSET,
    x_cache_salt: str | Unset = UNSET,
) -> Document | ErrorResponse | None:
    """One document with its text

    Args:
        id (str):
        include_text (bool | Unset):
        cache_salt (str | Unset):
        x_cache_salt (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Document | ErrorResponse
    """

    return sync_detailed(
        id=id,
        client=client,
        include_text=include_text,
        cache_salt=cache_salt,
        x_cache_salt=x_cache_salt,
    ).parsed


async def asyncio_detailed(
    id: str,
    *,
    client: AuthenticatedClient | Client,
    include_text: bool | Unset = UNSET,
    cache_salt: str | Unset = UNSET,
    x_cache_salt: str | Unset = UNSET,
) -> Response[Document | ErrorResponse]:
    """One document with its text

    Args:
        id (str):
        include_text (bool | Unset):
        cache_salt (str | Unset):
        x_cache_salt (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Document | ErrorResponse]
    """

    kwargs = _get_kwargs(
        id=id,
        include_text=include_text,
        cache_salt=cache_salt,
        x_cache_salt=x_cache_salt,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    id: str,
    *,
    client: AuthenticatedClient | Client,
    include_text: bool | Unset = UNSET,
    cache_salt: str | Unset = UNSET,
    x_cache_salt: str | Unset = UNSET,
) -> Document | ErrorResponse | None:
    """One document with its text

    Args:
        id (str):
        include_text (bool | Unset):
        cache_salt (str | Unset):
        x_cache_salt (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Document | ErrorResponse
    """

    return (
        await asyncio_detailed(
            id=id,
            client=client,
            include_text=include_text,
            cache_salt=cache_salt,
            x_cache_salt=x_cache_salt,
        )
    ).parsed
