from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.allowed_tools_mode import AllowedToolsMode, check_allowed_tools_mode
from ..models.allowed_tools_type import AllowedToolsType, check_allowed_tools_type

if TYPE_CHECKING:
    from ..models.response_named_tool import ResponseNamedTool


T = TypeVar("T", bound="ResponseAllowedTools")


@_attrs_define
class ResponseAllowedTools:
    type_: AllowedToolsType
    mode: AllowedToolsMode
    tools: list[ResponseNamedTool]
    """ Each is one of `tools`. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        type_: str = self.type_

        mode: str = self.mode

        tools = []
        for tools_item_data in self.tools:
            tools_item = tools_item_data.to_dict()
            tools.append(tools_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "type": type_,
                "mode": mode,
                "tools": tools,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.response_named_tool import ResponseNamedTool  # noqa: PLC0415

        d = dict(src_dict)
        type_ = check_allowed_tools_type(d.pop("type"))

        mode = check_allowed_tools_mode(d.pop("mode"))

        tools = []
        _tools = d.pop("tools")
        for tools_item_data in _tools:
            tools_item = ResponseNamedTool.from_dict(tools_item_data)

            tools.append(tools_item)

        response_allowed_tools = cls(
            type_=type_,
            mode=mode,
            tools=tools,
        )

        response_allowed_tools.additional_properties = d
        return response_allowed_tools

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
