from __future__ import annotations

from collections.abc import Mapping
from typing import (
    Any,
    Literal,
    TypeVar,
    cast,
)

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.tier_name import TierName, check_tier_name

T = TypeVar("T", bound="Block")


@_attrs_define
class Block:
    hash_: str
    object_: Literal["block"]
    tiers: list[TierName]
    """ Nearest first. """
    tokens: int | None
    bytes_: int | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        hash_ = self.hash_

        object_ = self.object_

        tiers = []
        for tiers_item_data in self.tiers:
            tiers_item: str = tiers_item_data
            tiers.append(tiers_item)

        tokens: int | None
        tokens = self.tokens

        bytes_: int | None
        bytes_ = self.bytes_

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "hash": hash_,
                "object": object_,
                "tiers": tiers,
                "tokens": tokens,
                "bytes": bytes_,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        hash_ = d.pop("hash")

        object_ = cast(Literal["block"], d.pop("object"))
        if object_ != "block":
            raise ValueError(f"object must match const 'block', got '{object_}'")

        tiers = []
        _tiers = d.pop("tiers")
        for tiers_item_data in _tiers:
            tiers_item = check_tier_name(tiers_item_data)

            tiers.append(tiers_item)

        def _parse_tokens(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        tokens = _parse_tokens(d.pop("tokens"))

        def _parse_bytes_(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        bytes_ = _parse_bytes_(d.pop("bytes"))

        block = cls(
            hash_=hash_,
            object_=object_,
            tiers=tiers,
            tokens=tokens,
            bytes_=bytes_,
        )

        block.additional_properties = d
        return block

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
