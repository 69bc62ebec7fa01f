from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.cut_rule import CutRule, check_cut_rule

T = TypeVar("T", bound="CutMessage")


@_attrs_define
class CutMessage:
    message: int
    """ Place in `messages`. """
    passages: int
    """ Passages that became blocks. """
    by: CutRule
    """ `seams`: where passages were joined. `lengths`: no seam was seen; cut as a document is. """
    moved: int
    """ Characters of the instruction in front of the passages; the prompt has them behind the passages. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        message = self.message

        passages = self.passages

        by: str = self.by

        moved = self.moved

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "message": message,
                "passages": passages,
                "by": by,
                "moved": moved,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        message = d.pop("message")

        passages = d.pop("passages")

        by = check_cut_rule(d.pop("by"))

        moved = d.pop("moved")

        cut_message = cls(
            message=message,
            passages=passages,
            by=by,
            moved=moved,
        )

        cut_message.additional_properties = d
        return cut_message

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
