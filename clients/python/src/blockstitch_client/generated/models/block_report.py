from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.block_kind import BlockKind, check_block_kind
from ..models.block_origin import BlockOrigin, check_block_origin
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.document_source import DocumentSource
    from ..models.message_source import MessageSource


T = TypeVar("T", bound="BlockReport")


@_attrs_define
class BlockReport:
    hash_: str
    """ The block key: GET /v1/blocks/{hash}. """
    tokens: int
    """ Its length. """
    origin: BlockOrigin
    """ Where a block was found; `computed` = a miss. """
    kind: BlockKind
    """ Text of the chat template, or of a document. """
    repaired_tokens: int
    """ Tokens of it that were computed again in context (`attention.repair`). """
    prompt: int | Unset = UNSET
    """ Place of the prompt, if the request has several. """
    document: DocumentSource | Unset = UNSET
    """ Whose text it is. Absent for `template`. """
    message: MessageSource | Unset = UNSET
    """ The message that the block was cut from (`auto_blocks`). """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        hash_ = self.hash_

        tokens = self.tokens

        origin: str = self.origin

        kind: str = self.kind

        repaired_tokens = self.repaired_tokens

        prompt = self.prompt

        document: dict[str, Any] | Unset = UNSET
        if not isinstance(self.document, Unset):
            document = self.document.to_dict()

        message: dict[str, Any] | Unset = UNSET
        if not isinstance(self.message, Unset):
            message = self.message.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "hash": hash_,
                "tokens": tokens,
                "origin": origin,
                "kind": kind,
                "repaired_tokens": repaired_tokens,
            }
        )
        if prompt is not UNSET:
            field_dict["prompt"] = prompt
        if document is not UNSET:
            field_dict["document"] = document
        if message is not UNSET:
            field_dict["message"] = message

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.document_source import DocumentSource  # noqa: PLC0415
        from ..models.message_source import MessageSource  # noqa: PLC0415

        d = dict(src_dict)
        hash_ = d.pop("hash")

        tokens = d.pop("tokens")

        origin = check_block_origin(d.pop("origin"))

        kind = check_block_kind(d.pop("kind"))

        repaired_tokens = d.pop("repaired_tokens")

        prompt = d.pop("prompt", UNSET)

        _document = d.pop("document", UNSET)
        document: DocumentSource | Unset
        if isinstance(_document, Unset):
            document = UNSET
        else:
            document = DocumentSource.from_dict(_document)

        _message = d.pop("message", UNSET)
        message: MessageSource | Unset
        if isinstance(_message, Unset):
            message = UNSET
        else:
            message = MessageSource.from_dict(_message)

        block_report = cls(
            hash_=hash_,
            tokens=tokens,
            origin=origin,
            kind=kind,
            repaired_tokens=repaired_tokens,
            prompt=prompt,
            document=document,
            message=message,
        )

        block_report.additional_properties = d
        return block_report

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
