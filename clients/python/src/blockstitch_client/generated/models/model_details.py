from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.attention_mode import AttentionMode, check_attention_mode
from ..models.kv_type import KvType, check_kv_type
from ..models.weight_format import WeightFormat, check_weight_format

T = TypeVar("T", bound="ModelDetails")


@_attrs_define
class ModelDetails:
    family: str
    weights: WeightFormat
    fingerprint: str
    attention: AttentionMode
    """ `block` stitches cached blocks; `full` is ordinary causal attention over the same tokens. """
    repair: float
    """ Share of the cached tokens that such requests compute again in context. """
    kv_dtype: KvType
    sink_token_ids: list[int]
    """ Tokens in front of every prompt. """
    block_start_token_ids: list[int]
    """ Learned tokens in front of every block. """
    block_end_token_ids: list[int]
    """ Learned tokens behind every block. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        family = self.family

        weights: str = self.weights

        fingerprint = self.fingerprint

        attention: str = self.attention

        repair = self.repair

        kv_dtype: str = self.kv_dtype

        sink_token_ids = self.sink_token_ids

        block_start_token_ids = self.block_start_token_ids

        block_end_token_ids = self.block_end_token_ids

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "family": family,
                "weights": weights,
                "fingerprint": fingerprint,
                "attention": attention,
                "repair": repair,
                "kv_dtype": kv_dtype,
                "sink_token_ids": sink_token_ids,
                "block_start_token_ids": block_start_token_ids,
                "block_end_token_ids": block_end_token_ids,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        family = d.pop("family")

        weights = check_weight_format(d.pop("weights"))

        fingerprint = d.pop("fingerprint")

        attention = check_attention_mode(d.pop("attention"))

        repair = d.pop("repair")

        kv_dtype = check_kv_type(d.pop("kv_dtype"))

        sink_token_ids = cast(list[int], d.pop("sink_token_ids"))

        block_start_token_ids = cast(list[int], d.pop("block_start_token_ids"))

        block_end_token_ids = cast(list[int], d.pop("block_end_token_ids"))

        model_details = cls(
            family=family,
            weights=weights,
            fingerprint=fingerprint,
            attention=attention,
            repair=repair,
            kv_dtype=kv_dtype,
            sink_token_ids=sink_token_ids,
            block_start_token_ids=block_start_token_ids,
            block_end_token_ids=block_end_token_ids,
        )

        model_details.additional_properties = d
        return model_details

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
