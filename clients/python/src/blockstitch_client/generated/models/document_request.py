from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.document_request_metadata_type_0 import DocumentRequestMetadataType0
    from ..models.segmentation import Segmentation


T = TypeVar("T", bound="DocumentRequest")


@_attrs_define
class DocumentRequest:
    text: str
    """ The document itself. Not only white space. """
    id: None | str | Unset = UNSET
    """ At most 768 bytes of UTF-8, neither "." nor "..". An id made from the content where absent. An existing
    document is replaced. """
    title: None | str | Unset = UNSET
    """ Placed before the text, as part of its first block. """
    metadata: DocumentRequestMetadataType0 | None | Unset = UNSET
    """ Returned as it was given; at most 16 entries. """
    segmentation: None | Segmentation | Unset = UNSET
    """ How documents are cut into blocks. `min_tokens` <= `target_tokens` <= `max_tokens`, also where defaults
    stand in; `target_tokens` or `granularity`, not both. """
    cache_salt: None | str | Unset = UNSET
    """ Separates tenants: blocks cached under one salt are never used under another. The header `x-cache-salt` may
    not name another one. """
    background: bool | None | Unset = UNSET
    """ `true`: answer 202 with a job at once. `false`: answer when every block is stored. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.document_request_metadata_type_0 import (
            DocumentRequestMetadataType0,  # noqa: PLC0415
        )
        from ..models.segmentation import Segmentation  # noqa: PLC0415

        text = self.text

        id: None | str | Unset
        if isinstance(self.id, Unset):
            id = UNSET
        else:
            id = self.id

        title: None | str | Unset
        if isinstance(self.title, Unset):
            title = UNSET
        else:
            title = self.title

        metadata: dict[str, Any] | None | Unset
        if isinstance(self.metadata, Unset):
            metadata = UNSET
        elif isinstance(self.metadata, DocumentRequestMetadataType0):
            metadata = self.metadata.to_dict()
        else:
            metadata = self.metadata

        segmentation: dict[str, Any] | None | Unset
        if isinstance(self.segmentation, Unset):
            segmentation = UNSET
        elif isinstance(self.segmentation, Segmentation):
            segmentation = self.segmentation.to_dict()
        else:
            segmentation = self.segmentation

        cache_salt: None | str | Unset
        if isinstance(self.cache_salt, Unset):
            cache_salt = UNSET
        else:
            cache_salt = self.cache_salt

        background: bool | None | Unset
        if isinstance(self.background, Unset):
            background = UNSET
        else:
            background = self.background

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "text": text,
            }
        )
        if id is not UNSET:
            field_dict["id"] = id
        if title is not UNSET:
            field_dict["title"] = title
        if metadata is not UNSET:
            field_dict["metadata"] = metadata
        if segmentation is not UNSET:
            field_dict["segmentation"] = segmentation
        if cache_salt is not UNSET:
            field_dict["cache_salt"] = cache_salt
        if background is not UNSET:
            field_dict["background"] = background

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.document_request_metadata_type_0 import (
            DocumentRequestMetadataType0,  # noqa: PLC0415
        )
        from ..models.segmentation import Segmentation  # noqa: PLC0415

        d = dict(src_dict)
        text = d.pop("text")

        def _parse_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        id = _parse_id(d.pop("id", UNSET))

        def _parse_title(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        title = _parse_title(d.pop("title", UNSET))

        def _parse_metadata(data: object) -> DocumentRequestMetadataType0 | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                metadata_type_0 = DocumentRequestMetadataType0.from_dict(data)

                return metadata_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(DocumentRequestMetadataType0 | None | Unset, data)

        metadata = _parse_metadata(d.pop("metadata", UNSET))

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

        def _parse_cache_salt(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        cache_salt = _parse_cache_salt(d.pop("cache_salt", UNSET))

        def _parse_background(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        background = _parse_background(d.pop("background", UNSET))

        document_request = cls(
            text=text,
            id=id,
            title=title,
            metadata=metadata,
            segmentation=segmentation,
            cache_salt=cache_salt,
            background=background,
        )

        document_request.additional_properties = d
        return document_request

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
