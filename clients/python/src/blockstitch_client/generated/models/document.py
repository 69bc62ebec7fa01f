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

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.document_block import DocumentBlock
    from ..models.document_cost import DocumentCost
    from ..models.document_metadata import DocumentMetadata


T = TypeVar("T", bound="Document")


@_attrs_define
class Document:
    id: str
    object_: Literal["document"]
    created_at: int
    """ Unix time, seconds. """
    characters: int
    """ UTF-16 units. """
    tokens: int
    """ Of all its blocks. """
    bytes_: int
    """ KV of its blocks in a store. Documents of a tenant share equal blocks. """
    block_count: int
    """ Blocks that the text was cut into. """
    title: str | Unset = UNSET
    text: str | Unset = UNSET
    """ Only in GET /v1/documents/{id}. """
    metadata: DocumentMetadata | Unset = UNSET
    prefilled: DocumentCost | Unset = UNSET
    """ What was computed for this id since it was registered first, replacements included. Blocks that were found
    cached cost nothing. Absent for documents that older versions ingested. """
    blocks: list[DocumentBlock] | Unset = UNSET
    """ Not in GET /v1/documents. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        object_ = self.object_

        created_at = self.created_at

        characters = self.characters

        tokens = self.tokens

        bytes_ = self.bytes_

        block_count = self.block_count

        title = self.title

        text = self.text

        metadata: dict[str, Any] | Unset = UNSET
        if not isinstance(self.metadata, Unset):
            metadata = self.metadata.to_dict()

        prefilled: dict[str, Any] | Unset = UNSET
        if not isinstance(self.prefilled, Unset):
            prefilled = self.prefilled.to_dict()

        blocks: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.blocks, Unset):
            blocks = []
            for blocks_item_data in self.blocks:
                blocks_item = blocks_item_data.to_dict()
                blocks.append(blocks_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "object": object_,
                "created_at": created_at,
                "characters": characters,
                "tokens": tokens,
                "bytes": bytes_,
                "block_count": block_count,
            }
        )
        if title is not UNSET:
            field_dict["title"] = title
        if text is not UNSET:
            field_dict["text"] = text
        if metadata is not UNSET:
            field_dict["metadata"] = metadata
        if prefilled is not UNSET:
            field_dict["prefilled"] = prefilled
        if blocks is not UNSET:
            field_dict["blocks"] = blocks

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.document_block import DocumentBlock  # noqa: PLC0415
        from ..models.document_cost import DocumentCost  # noqa: PLC0415
        from ..models.document_metadata import DocumentMetadata  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")

        object_ = cast(Literal["document"], d.pop("object"))
        if object_ != "document":
            raise ValueError(f"object must match const 'document', got '{object_}'")

        created_at = d.pop("created_at")

        characters = d.pop("characters")

        tokens = d.pop("tokens")

        bytes_ = d.pop("bytes")

        block_count = d.pop("block_count")

        title = d.pop("title", UNSET)

        text = d.pop("text", UNSET)

        _metadata = d.pop("metadata", UNSET)
        metadata: DocumentMetadata | Unset
        if isinstance(_metadata, Unset):
            metadata = UNSET
        else:
            metadata = DocumentMetadata.from_dict(_metadata)

        _prefilled = d.pop("prefilled", UNSET)
        prefilled: DocumentCost | Unset
        if isinstance(_prefilled, Unset):
            prefilled = UNSET
        else:
            prefilled = DocumentCost.from_dict(_prefilled)

        _blocks = d.pop("blocks", UNSET)
        blocks: list[DocumentBlock] | Unset = UNSET
        if _blocks is not UNSET:
            blocks = []
            for blocks_item_data in _blocks:
                blocks_item = DocumentBlock.from_dict(blocks_item_data)

                blocks.append(blocks_item)

        document = cls(
            id=id,
            object_=object_,
            created_at=created_at,
            characters=characters,
            tokens=tokens,
            bytes_=bytes_,
            block_count=block_count,
            title=title,
            text=text,
            metadata=metadata,
            prefilled=prefilled,
            blocks=blocks,
        )

        document.additional_properties = d
        return document

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
