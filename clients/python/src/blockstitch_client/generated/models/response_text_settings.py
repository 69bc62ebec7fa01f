from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.response_text_settings_format import ResponseTextSettingsFormat


T = TypeVar("T", bound="ResponseTextSettings")


@_attrs_define
class ResponseTextSettings:
    format_: ResponseTextSettingsFormat
    """ As the request had it. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        format_ = self.format_.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "format": format_,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.response_text_settings_format import ResponseTextSettingsFormat  # noqa: PLC0415

        d = dict(src_dict)
        format_ = ResponseTextSettingsFormat.from_dict(d.pop("format"))

        response_text_settings = cls(
            format_=format_,
        )

        response_text_settings.additional_properties = d
        return response_text_settings

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
