from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="Timings")


@_attrs_define
class Timings:
    queue_ms: float
    """ Waiting in the queue. """
    prefill_ms: float
    """ Loading and computing until the first token. """
    ttft_ms: float
    """ From the parsed request to the first token. """
    total_ms: float
    """ From the parsed request to the last token. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        queue_ms = self.queue_ms

        prefill_ms = self.prefill_ms

        ttft_ms = self.ttft_ms

        total_ms = self.total_ms

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "queue_ms": queue_ms,
                "prefill_ms": prefill_ms,
                "ttft_ms": ttft_ms,
                "total_ms": total_ms,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        queue_ms = d.pop("queue_ms")

        prefill_ms = d.pop("prefill_ms")

        ttft_ms = d.pop("ttft_ms")

        total_ms = d.pop("total_ms")

        timings = cls(
            queue_ms=queue_ms,
            prefill_ms=prefill_ms,
            ttft_ms=ttft_ms,
            total_ms=total_ms,
        )

        timings.additional_properties = d
        return timings

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
