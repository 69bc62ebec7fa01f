from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.response_event_name import ResponseEventName, check_response_event_name
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.response_function_call import ResponseFunctionCall
    from ..models.response_message import ResponseMessage
    from ..models.response_object import ResponseObject


T = TypeVar("T", bound="ResponseChange")


@_attrs_define
class ResponseChange:
    """OpenAI's events: the fields are those of the event's type."""

    type_: ResponseEventName
    sequence_number: int
    response: ResponseObject | Unset = UNSET
    output_index: int | Unset = UNSET
    """ Which item of `output`. """
    item: ResponseFunctionCall | ResponseMessage | Unset = UNSET
    item_id: str | Unset = UNSET
    delta: str | Unset = UNSET
    """ A piece of the text, or of a call's arguments. """
    name: str | Unset = UNSET
    """ The function of a call that is whole. """
    arguments: str | Unset = UNSET
    """ Those of a call that is whole. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.response_message import ResponseMessage  # noqa: PLC0415

        type_: str = self.type_

        sequence_number = self.sequence_number

        response: dict[str, Any] | Unset = UNSET
        if not isinstance(self.response, Unset):
            response = self.response.to_dict()

        output_index = self.output_index

        item: dict[str, Any] | Unset
        if isinstance(self.item, Unset):
            item = UNSET
        elif isinstance(self.item, ResponseMessage):
            item = self.item.to_dict()
        else:
            item = self.item.to_dict()

        item_id = self.item_id

        delta = self.delta

        name = self.name

        arguments = self.arguments

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "type": type_,
                "sequence_number": sequence_number,
            }
        )
        if response is not UNSET:
            field_dict["response"] = response
        if output_index is not UNSET:
            field_dict["output_index"] = output_index
        if item is not UNSET:
            field_dict["item"] = item
        if item_id is not UNSET:
            field_dict["item_id"] = item_id
        if delta is not UNSET:
            field_dict["delta"] = delta
        if name is not UNSET:
            field_dict["name"] = name
        if arguments is not UNSET:
            field_dict["arguments"] = arguments

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.response_function_call import ResponseFunctionCall  # noqa: PLC0415
        from ..models.response_message import ResponseMessage  # noqa: PLC0415
        from ..models.response_object import ResponseObject  # noqa: PLC0415

        d = dict(src_dict)
        type_ = check_response_event_name(d.pop("type"))

        sequence_number = d.pop("sequence_number")

        _response = d.pop("response", UNSET)
        response: ResponseObject | Unset
        if isinstance(_response, Unset):
            response = UNSET
        else:
            response = ResponseObject.from_dict(_response)

        output_index = d.pop("output_index", UNSET)

        def _parse_item(data: object) -> ResponseFunctionCall | ResponseMessage | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_response_output_item_type_0 = ResponseMessage.from_dict(data)

                return componentsschemas_response_output_item_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            if not isinstance(data, dict):
                raise TypeError()
            componentsschemas_response_output_item_type_1 = ResponseFunctionCall.from_dict(data)

            return componentsschemas_response_output_item_type_1

        item = _parse_item(d.pop("item", UNSET))

        item_id = d.pop("item_id", UNSET)

        delta = d.pop("delta", UNSET)

        name = d.pop("name", UNSET)

        arguments = d.pop("arguments", UNSET)

        response_change = cls(
            type_=type_,
            sequence_number=sequence_number,
            response=response,
            output_index=output_index,
            item=item,
            item_id=item_id,
            delta=delta,
            name=name,
            arguments=arguments,
        )

        response_change.additional_properties = d
        return response_change

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
