from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.attention_mode import AttentionMode, check_attention_mode
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.block_report import BlockReport
    from ..models.citation import Citation
    from ..models.cut_message import CutMessage
    from ..models.timings import Timings


T = TypeVar("T", bound="Report")


@_attrs_define
class Report:
    attention: AttentionMode
    """ `block` stitches cached blocks; `full` is ordinary causal attention over the same tokens. """
    blocks: list[BlockReport]
    """ In prompt order. """
    timings: Timings
    skipped_documents: list[int] | Unset = UNSET
    """ Places of blank documents, which were left out. Absent if there were none. """
    citations: list[Citation] | Unset = UNSET
    """ If the request has `citations`. """
    auto_blocks: list[CutMessage] | Unset = UNSET
    """ How messages were cut into blocks. Absent if none was. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        attention: str = self.attention

        blocks = []
        for blocks_item_data in self.blocks:
            blocks_item = blocks_item_data.to_dict()
            blocks.append(blocks_item)

        timings = self.timings.to_dict()

        skipped_documents: list[int] | Unset = UNSET
        if not isinstance(self.skipped_documents, Unset):
            skipped_documents = self.skipped_documents

        citations: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.citations, Unset):
            citations = []
            for citations_item_data in self.citations:
                citations_item = citations_item_data.to_dict()
                citations.append(citations_item)

        auto_blocks: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.auto_blocks, Unset):
            auto_blocks = []
            for auto_blocks_item_data in self.auto_blocks:
                auto_blocks_item = auto_blocks_item_data.to_dict()
                auto_blocks.append(auto_blocks_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "attention": attention,
                "blocks": blocks,
                "timings": timings,
            }
        )
        if skipped_documents is not UNSET:
            field_dict["skipped_documents"] = skipped_documents
        if citations is not UNSET:
            field_dict["citations"] = citations
        if auto_blocks is not UNSET:
            field_dict["auto_blocks"] = auto_blocks

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.block_report import BlockReport  # noqa: PLC0415
        from ..models.citation import Citation  # noqa: PLC0415
        from ..models.cut_message import CutMessage  # noqa: PLC0415
        from ..models.timings import Timings  # noqa: PLC0415

        d = dict(src_dict)
        attention = check_attention_mode(d.pop("attention"))

        blocks = []
        _blocks = d.pop("blocks")
        for blocks_item_data in _blocks:
            blocks_item = BlockReport.from_dict(blocks_item_data)

            blocks.append(blocks_item)

        timings = Timings.from_dict(d.pop("timings"))

        skipped_documents = cast(list[int], d.pop("skipped_documents", UNSET))

        _citations = d.pop("citations", UNSET)
        citations: list[Citation] | Unset = UNSET
        if _citations is not UNSET:
            citations = []
            for citations_item_data in _citations:
                citations_item = Citation.from_dict(citations_item_data)

                citations.append(citations_item)

        _auto_blocks = d.pop("auto_blocks", UNSET)
        auto_blocks: list[CutMessage] | Unset = UNSET
        if _auto_blocks is not UNSET:
            auto_blocks = []
            for auto_blocks_item_data in _auto_blocks:
                auto_blocks_item = CutMessage.from_dict(auto_blocks_item_data)

                auto_blocks.append(auto_blocks_item)

        report = cls(
            attention=attention,
            blocks=blocks,
            timings=timings,
            skipped_documents=skipped_documents,
            citations=citations,
            auto_blocks=auto_blocks,
        )

        report.additional_properties = d
        return report

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
