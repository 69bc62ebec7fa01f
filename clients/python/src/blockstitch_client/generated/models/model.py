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

if TYPE_CHECKING:
    from ..models.model_details import ModelDetails


T = TypeVar("T", bound="Model")


@_attrs_define
class Model:
    id: str
    object_: Literal["model"]
    created: int
    owned_by: str
    root: str
    """ Name of its checkpoint, or of the adapter that is merged into it. """
    parent: None | str
    """ With an adapter: name of the checkpoint that it is merged into. """
    max_model_len: int
    """ Context, tokens. """
    blockstitch: ModelDetails
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        object_ = self.object_

        created = self.created

        owned_by = self.owned_by

        root = self.root

        parent: None | str
        parent = self.parent

        max_model_len = self.max_model_len

        blockstitch = self.blockstitch.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "object": object_,
                "created": created,
                "owned_by": owned_by,
                "root": root,
                "parent": parent,
                "max_model_len": max_model_len,
                "blockstitch": blockstitch,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.model_details import ModelDetails  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")

        object_ = cast(Literal["model"], d.pop("object"))
        if object_ != "model":
            raise ValueError(f"object must match const 'model', got '{object_}'")

        created = d.pop("created")

        owned_by = d.pop("owned_by")

        root = d.pop("root")

        def _parse_parent(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        parent = _parse_parent(d.pop("parent"))

        max_model_len = d.pop("max_model_len")

        blockstitch = ModelDetails.from_dict(d.pop("blockstitch"))

        model = cls(
            id=id,
            object_=object_,
            created=created,
            owned_by=owned_by,
            root=root,
            parent=parent,
            max_model_len=max_model_len,
            blockstitch=blockstitch,
        )

        model.additional_properties = d
        return model

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
