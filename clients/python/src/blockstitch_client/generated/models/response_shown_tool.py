from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.tool_type import ToolType, check_tool_type

if TYPE_CHECKING:
    from ..models.response_shown_tool_parameters_type_0 import (
        ResponseShownToolParametersType0,
    )


T = TypeVar("T", bound="ResponseShownTool")


@_attrs_define
class ResponseShownTool:
    type_: ToolType
    name: str
    description: None | str
    parameters: None | ResponseShownToolParametersType0
    strict: bool
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.response_shown_tool_parameters_type_0 import (
            ResponseShownToolParametersType0,  # noqa: PLC0415
        )

        type_: str = self.type_

        name = self.name

        description: None | str
        description = self.description

        parameters: dict[str, Any] | None
        if isinstance(self.parameters, ResponseShownToolParametersType0):
            parameters = self.parameters.to_dict()
        else:
            parameters = self.parameters

        strict = self.strict

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "type": type_,
                "name": name,
                "description": description,
                "parameters": parameters,
                "strict": strict,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.response_shown_tool_parameters_type_0 import (
            ResponseShownToolParametersType0,  # noqa: PLC0415
        )

        d = dict(src_dict)
        type_ = check_tool_type(d.pop("type"))

        name = d.pop("name")

        def _parse_description(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        description = _parse_description(d.pop("description"))

        def _parse_parameters(data: object) -> None | ResponseShownToolParametersType0:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                parameters_type_0 = ResponseShownToolParametersType0.from_dict(data)

                return parameters_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | ResponseShownToolParametersType0, data)

        parameters = _parse_parameters(d.pop("parameters"))

        strict = d.pop("strict")

        response_shown_tool = cls(
            type_=type_,
            name=name,
            description=description,
            parameters=parameters,
            strict=strict,
        )

        response_shown_tool.additional_properties = d
        return response_shown_tool

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
