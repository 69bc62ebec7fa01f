from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.breaker_state import BreakerState, check_breaker_state
from ..models.tier_name import TierName, check_tier_name

T = TypeVar("T", bound="StoreStatistics")


@_attrs_define
class StoreStatistics:
    tier: TierName
    breaker: BreakerState
    failures: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        tier: str = self.tier

        breaker: str = self.breaker

        failures = self.failures

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "tier": tier,
                "breaker": breaker,
                "failures": failures,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        tier = check_tier_name(d.pop("tier"))

        breaker = check_breaker_state(d.pop("breaker"))

        failures = d.pop("failures")

        store_statistics = cls(
            tier=tier,
            breaker=breaker,
            failures=failures,
        )

        store_statistics.additional_properties = d
        return store_statistics

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
