from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="PoolStatistics")


@_attrs_define
class PoolStatistics:
    pages: int
    free_pages: int
    cached_pages: int
    """ Pages that hold cached blocks. """
    active_pages: int
    """ Pages that running requests hold. """
    page_tokens: int
    page_bytes: int
    cached_blocks: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        pages = self.pages

        free_pages = self.free_pages

        cached_pages = self.cached_pages

        active_pages = self.active_pages

        page_tokens = self.page_tokens

        page_bytes = self.page_bytes

        cached_blocks = self.cached_blocks

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "pages": pages,
                "free_pages": free_pages,
                "cached_pages": cached_pages,
                "active_pages": active_pages,
                "page_tokens": page_tokens,
                "page_bytes": page_bytes,
                "cached_blocks": cached_blocks,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        pages = d.pop("pages")

        free_pages = d.pop("free_pages")

        cached_pages = d.pop("cached_pages")

        active_pages = d.pop("active_pages")

        page_tokens = d.pop("page_tokens")

        page_bytes = d.pop("page_bytes")

        cached_blocks = d.pop("cached_blocks")

        pool_statistics = cls(
            pages=pages,
            free_pages=free_pages,
            cached_pages=cached_pages,
            active_pages=active_pages,
            page_tokens=page_tokens,
            page_bytes=page_bytes,
            cached_blocks=cached_blocks,
        )

        pool_statistics.additional_properties = d
        return pool_statistics

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
