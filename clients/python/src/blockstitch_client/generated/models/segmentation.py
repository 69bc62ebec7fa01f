from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.segmenter import Segmenter, check_segmenter
from ..types import UNSET, Unset

T = TypeVar("T", bound="Segmentation")


@_attrs_define
class Segmentation:
    """How documents are cut into blocks. `min_tokens` <= `target_tokens` <= `max_tokens`, also where defaults stand in;
    `target_tokens` or `granularity`, not both.

    """

    segmenter: None | Segmenter | Unset = UNSET
    target_tokens: int | None | Unset = UNSET
    """ Wanted mean length of a block. """
    min_tokens: int | None | Unset = UNSET
    """ No block is shorter than this if the text allows. """
    max_tokens: int | None | Unset = UNSET
    """ Hard maximum of a block's own text. The document's frame (title, template text) and a checkpoint's sinks at
    the edges of blocks come on top. """
    granularity: float | None | Unset = UNSET
    """ 0 = finest, 1 = coarsest: a target length; instead of `target_tokens`. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        segmenter: None | str | Unset
        if isinstance(self.segmenter, Unset):
            segmenter = UNSET
        elif isinstance(self.segmenter, str):
            segmenter = self.segmenter
        else:
            segmenter = self.segmenter

        target_tokens: int | None | Unset
        if isinstance(self.target_tokens, Unset):
            target_tokens = UNSET
        else:
            target_tokens = self.target_tokens

        min_tokens: int | None | Unset
        if isinstance(self.min_tokens, Unset):
            min_tokens = UNSET
        else:
            min_tokens = self.min_tokens

        max_tokens: int | None | Unset
        if isinstance(self.max_tokens, Unset):
            max_tokens = UNSET
        else:
            max_tokens = self.max_tokens

        granularity: float | None | Unset
        if isinstance(self.granularity, Unset):
            granularity = UNSET
        else:
            granularity = self.granularity

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if segmenter is not UNSET:
            field_dict["segmenter"] = segmenter
        if target_tokens is not UNSET:
            field_dict["target_tokens"] = target_tokens
        if min_tokens is not UNSET:
            field_dict["min_tokens"] = min_tokens
        if max_tokens is not UNSET:
            field_dict["max_tokens"] = max_tokens
        if granularity is not UNSET:
            field_dict["granularity"] = granularity

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_segmenter(data: object) -> None | Segmenter | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                segmenter_type_0 = check_segmenter(data)

                return segmenter_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Segmenter | Unset, data)

        segmenter = _parse_segmenter(d.pop("segmenter", UNSET))

        def _parse_target_tokens(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        target_tokens = _parse_target_tokens(d.pop("target_tokens", UNSET))

        def _parse_min_tokens(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        min_tokens = _parse_min_tokens(d.pop("min_tokens", UNSET))

        def _parse_max_tokens(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        max_tokens = _parse_max_tokens(d.pop("max_tokens", UNSET))

        def _parse_granularity(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        granularity = _parse_granularity(d.pop("granularity", UNSET))

        segmentation = cls(
            segmenter=segmenter,
            target_tokens=target_tokens,
            min_tokens=min_tokens,
            max_tokens=max_tokens,
            granularity=granularity,
        )

        segmentation.additional_properties = d
        return segmentation

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
