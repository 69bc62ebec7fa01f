from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.segmentation import Segmentation


T = TypeVar("T", bound="SegmentRequest")


@_attrs_define
class SegmentRequest:
    text: str
    """ Not only white space. """
    title: None | str | Unset = UNSET
    """ With `include_cache`: the title that the document will have. """
    segmentation: None | Segmentation | Unset = UNSET
    """ How documents are cut into blocks. `min_tokens` <= `target_tokens` <= `max_tokens`, also where defaults
    stand in; `target_tokens` or `granularity`, not both. """
    include_text: bool | None | Unset = UNSET
    """ Repeat each block's text in the answer. """
    include_cache: bool | None | Unset = UNSET
    """ Give each block's key as a document of a chat, and the tiers that hold it now. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.segmentation import Segmentation  # noqa: PLC0415

        text = self.text

        title: None | str | Unset
        if isinstance(self.title, Unset):
            title = UNSET
        else:
            title = self.title

        segmentation: dict[str, Any] | None | Unset
        if isinstance(self.segmentation, Unset):
            segmentation = UNSET
        elif isinstance(self.segmentation, Segmentation):
            segmentation = self.segmentation.to_dict()
        else:
            segmentation = self.segmentation

        include_text: bool | None | Unset
        if isinstance(self.include_text, Unset):
            include_text = UNSET
        else:
            include_text = self.include_text

        include_cache: bool | None | Unset
        if isinstance(self.include_cache, Unset):
            include_cache = UNSET
        else:
            include_cache = self.include_cache

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "text": text,
            }
        )
        if title is not UNSET:
            field_dict["title"] = title
        if segmentation is not UNSET:
            field_dict["segmentation"] = segmentation
        if include_text is not UNSET:
            field_dict["include_text"] = include_text
        if include_cache is not UNSET:
            field_dict["include_cache"] = include_cache

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.segmentation import Segmentation  # noqa: PLC0415

        d = dict(src_dict)
        text = d.pop("text")

        def _parse_title(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        title = _parse_title(d.pop("title", UNSET))

        def _parse_segmentation(data: object) -> None | Segmentation | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                segmentation_type_0 = Segmentation.from_dict(data)

                return segmentation_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Segmentation | Unset, data)

        segmentation = _parse_segmentation(d.pop("segmentation", UNSET))

        def _parse_include_text(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        include_text = _parse_include_text(d.pop("include_text", UNSET))

        def _parse_include_cache(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        include_cache = _parse_include_cache(d.pop("include_cache", UNSET))

        segment_request = cls(
            text=text,
            title=title,
            segmentation=segmentation,
            include_text=include_text,
            include_cache=include_cache,
        )

        segment_request.additional_properties = d
        return segment_request

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
