from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.cited_block import CitedBlock


T = TypeVar("T", bound="Citation")


@_attrs_define
class Citation:
    """A sentence of the answer and the blocks that it quotes."""

    choice: int
    start: int
    """ UTF-16 offset of the sentence in the answer. """
    end: int
    blocks: list[CitedBlock]
    """ Best first. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        choice = self.choice

        start = self.start

        end = self.end

        blocks = []
        for blocks_item_data in self.blocks:
            blocks_item = blocks_item_data.to_dict()
            blocks.append(blocks_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "choice": choice,
                "start": start,
                "end": end,
                "blocks": blocks,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.cited_block import CitedBlock  # noqa: PLC0415

        d = dict(src_dict)
        choice = d.pop("choice")

        start = d.pop("start")

        end = d.pop("end")

        blocks = []
        _blocks = d.pop("blocks")
        for blocks_item_data in _blocks:
            blocks_item = CitedBlock.from_dict(blocks_item_data)

            blocks.append(blocks_item)

        citation = cls(
            choice=choice,
            start=start,
            end=end,
            blocks=blocks,
        )

        citation.additional_properties = d
        return citation

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
