from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.attention_mode import AttentionMode, check_attention_mode
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.repair import Repair


T = TypeVar("T", bound="AttentionOptions")


@_attrs_define
class AttentionOptions:
    mode: AttentionMode
    """ `block` stitches cached blocks; `full` is ordinary causal attention over the same tokens. """
    repair: float | None | Repair | Unset = UNSET
    """ Only with the mode `block`. For checkpoints not trained for block attention: the share of the cached tokens
    that is computed again in context. 0 = none, 1 = `full` exactly. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.repair import Repair  # noqa: PLC0415

        mode: str = self.mode

        repair: dict[str, Any] | float | None | Unset
        if isinstance(self.repair, Unset):
            repair = UNSET
        elif isinstance(self.repair, Repair):
            repair = self.repair.to_dict()
        else:
            repair = self.repair

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "mode": mode,
            }
        )
        if repair is not UNSET:
            field_dict["repair"] = repair

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.repair import Repair  # noqa: PLC0415

        d = dict(src_dict)
        mode = check_attention_mode(d.pop("mode"))

        def _parse_repair(data: object) -> float | None | Repair | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                repair_type_1 = Repair.from_dict(data)

                return repair_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(float | None | Repair | Unset, data)

        repair = _parse_repair(d.pop("repair", UNSET))

        attention_options = cls(
            mode=mode,
            repair=repair,
        )

        attention_options.additional_properties = d
        return attention_options

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
