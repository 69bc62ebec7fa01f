from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="DocumentCost")


@_attrs_define
class DocumentCost:
    """What was computed for this id since it was registered first, replacements included. Blocks that were found cached
    cost nothing. Absent for documents that older versions ingested.

    """

    blocks: int
    tokens: int
    seconds: float
    """ Of engine steps, by the share that these tokens had in them. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        blocks = self.blocks

        tokens = self.tokens

        seconds = self.seconds

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "blocks": blocks,
                "tokens": tokens,
                "seconds": seconds,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        blocks = d.pop("blocks")

        tokens = d.pop("tokens")

        seconds = d.pop("seconds")

        document_cost = cls(
            blocks=blocks,
            tokens=tokens,
            seconds=seconds,
        )

        document_cost.additional_properties = d
        return document_cost

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
