from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.tier_name import TierName, check_tier_name
from ..types import UNSET, Unset

T = TypeVar("T", bound="Segment")


@_attrs_define
class Segment:
    start: int
    """ UTF-16 offset; the blocks cover the text exactly once. """
    end: int
    tokens: int
    boundary_score: float
    """ Strength of the boundary at `end`, 0 to 1. """
    seam: bool | Unset = UNSET
    """ Present where two passages of a prompt were joined, or a passage and the rest. """
    text: str | Unset = UNSET
    hash_: None | str | Unset = UNSET
    """ The block key: GET /v1/blocks/{hash}. `null` if the block has no tokens: it is left out of prompts. """
    tiers: list[TierName] | Unset = UNSET
    """ Nearest first; empty = a miss. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        start = self.start

        end = self.end

        tokens = self.tokens

        boundary_score = self.boundary_score

        seam = self.seam

        text = self.text

        hash_: None | str | Unset
        if isinstance(self.hash_, Unset):
            hash_ = UNSET
        else:
            hash_ = self.hash_

        tiers: list[str] | Unset = UNSET
        if not isinstance(self.tiers, Unset):
            tiers = []
            for tiers_item_data in self.tiers:
                tiers_item: str = tiers_item_data
                tiers.append(tiers_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "start": start,
                "end": end,
                "tokens": tokens,
                "boundary_score": boundary_score,
            }
        )
        if seam is not UNSET:
            field_dict["seam"] = seam
        if text is not UNSET:
            field_dict["text"] = text
        if hash_ is not UNSET:
            field_dict["hash"] = hash_
        if tiers is not UNSET:
            field_dict["tiers"] = tiers

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        start = d.pop("start")

        end = d.pop("end")

        tokens = d.pop("tokens")

        boundary_score = d.pop("boundary_score")

        seam = d.pop("seam", UNSET)

        text = d.pop("text", UNSET)

        def _parse_hash_(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        hash_ = _parse_hash_(d.pop("hash", UNSET))

        _tiers = d.pop("tiers", UNSET)
        tiers: list[TierName] | Unset = UNSET
        if _tiers is not UNSET:
            tiers = []
            for tiers_item_data in _tiers:
                tiers_item = check_tier_name(tiers_item_data)

                tiers.append(tiers_item)

        segment = cls(
            start=start,
            end=end,
            tokens=tokens,
            boundary_score=boundary_score,
            seam=seam,
            text=text,
            hash_=hash_,
            tiers=tiers,
        )

        segment.additional_properties = d
        return segment

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
