from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.block_origin import BlockOrigin, check_block_origin
from ..types import UNSET, Unset

T = TypeVar("T", bound="DocumentBlock")


@_attrs_define
class DocumentBlock:
    hash_: str
    """ The block key: GET /v1/blocks/{hash}. """
    tokens: int
    start: int
    """ UTF-16 offset in the text. """
    end: int
    origin: BlockOrigin | Unset = UNSET
    """ Where a block was found; `computed` = a miss. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        hash_ = self.hash_

        tokens = self.tokens

        start = self.start

        end = self.end

        origin: str | Unset = UNSET
        if not isinstance(self.origin, Unset):
            origin = self.origin

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "hash": hash_,
                "tokens": tokens,
                "start": start,
                "end": end,
            }
        )
        if origin is not UNSET:
            field_dict["origin"] = origin

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        hash_ = d.pop("hash")

        tokens = d.pop("tokens")

        start = d.pop("start")

        end = d.pop("end")

        _origin = d.pop("origin", UNSET)
        origin: BlockOrigin | Unset
        if isinstance(_origin, Unset):
            origin = UNSET
        else:
            origin = check_block_origin(_origin)

        document_block = cls(
            hash_=hash_,
            tokens=tokens,
            start=start,
            end=end,
            origin=origin,
        )

        document_block.additional_properties = d
        return document_block

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
