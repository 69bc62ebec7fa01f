from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.tier_name import TierName, check_tier_name

T = TypeVar("T", bound="TierStatistics")


@_attrs_define
class TierStatistics:
    tier: TierName
    entries: int
    """ Blocks in it. """
    bytes_: int
    """ Their size. """
    hits: int
    """ Look-ups that found a block. """
    misses: int
    """ Look-ups that did not. """
    corrupt: int
    """ Values that failed a check. """
    loaded_bytes: int
    """ Read from it. """
    load_seconds: float
    """ Spent reading. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        tier: str = self.tier

        entries = self.entries

        bytes_ = self.bytes_

        hits = self.hits

        misses = self.misses

        corrupt = self.corrupt

        loaded_bytes = self.loaded_bytes

        load_seconds = self.load_seconds

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "tier": tier,
                "entries": entries,
                "bytes": bytes_,
                "hits": hits,
                "misses": misses,
                "corrupt": corrupt,
                "loaded_bytes": loaded_bytes,
                "load_seconds": load_seconds,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        tier = check_tier_name(d.pop("tier"))

        entries = d.pop("entries")

        bytes_ = d.pop("bytes")

        hits = d.pop("hits")

        misses = d.pop("misses")

        corrupt = d.pop("corrupt")

        loaded_bytes = d.pop("loaded_bytes")

        load_seconds = d.pop("load_seconds")

        tier_statistics = cls(
            tier=tier,
            entries=entries,
            bytes_=bytes_,
            hits=hits,
            misses=misses,
            corrupt=corrupt,
            loaded_bytes=loaded_bytes,
            load_seconds=load_seconds,
        )

        tier_statistics.additional_properties = d
        return tier_statistics

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
