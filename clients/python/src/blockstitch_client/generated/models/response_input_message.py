from __future__ import annotations

from collections.abc import Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    TypeVar,
    cast,
)

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.response_role import ResponseRole, check_response_role
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.response_input_part import ResponseInputPart


T = TypeVar("T", bound="ResponseInputMessage")


@_attrs_define
class ResponseInputMessage:
    role: ResponseRole
    content: list[ResponseInputPart] | str
    type_: Literal["message"] | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        role: str = self.role

        content: list[dict[str, Any]] | str
        if isinstance(self.content, list):
            content = []
            for content_type_1_item_data in self.content:
                content_type_1_item = content_type_1_item_data.to_dict()
                content.append(content_type_1_item)

        else:
            content = self.content

        type_: Literal["message"] | None | Unset
        if isinstance(self.type_, Unset):
            type_ = UNSET
        else:
            type_ = self.type_

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "role": role,
                "content": content,
            }
        )
        if type_ is not UNSET:
            field_dict["type"] = type_

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.response_input_part import ResponseInputPart  # noqa: PLC0415

        d = dict(src_dict)
        role = check_response_role(d.pop("role"))

        def _parse_content(data: object) -> list[ResponseInputPart] | str:
            try:
                if not isinstance(data, list):
                    raise TypeError()
                content_type_1 = []
                _content_type_1 = data
                for content_type_1_item_data in _content_type_1:
                    content_type_1_item = ResponseInputPart.from_dict(content_type_1_item_data)

                    content_type_1.append(content_type_1_item)

                return content_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[ResponseInputPart] | str, data)

        content = _parse_content(d.pop("content"))

        def _parse_type_(data: object) -> Literal["message"] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            type_type_0 = cast(Literal["message"], data)
            if type_type_0 != "message":
                raise ValueError(f"type_type_0 must match const 'message', got '{type_type_0}'")
            return type_type_0
            return cast(Literal["message"] | None | Unset, data)

        type_ = _parse_type_(d.pop("type", UNSET))

        response_input_message = cls(
            role=role,
            content=content,
            type_=type_,
        )

        response_input_message.additional_properties = d
        return response_input_message

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
