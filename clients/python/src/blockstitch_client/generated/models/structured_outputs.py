from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.json_schema import JsonSchema


T = TypeVar("T", bound="StructuredOutputs")


@_attrs_define
class StructuredOutputs:
    """vLLM's form of `response_format`: exactly one of the fields. One request names one structure."""

    json: JsonSchema | None | str | Unset = UNSET
    """ A JSON Schema that can be enforced (docs/api.md), or its text. """
    regex: None | str | Unset = UNSET
    """ The whole answer matches this regular expression, which must be one that can be enforced. """
    choice: list[str] | None | Unset = UNSET
    """ The answer is one of these: 65,536 characters in all, none of them NUL. """
    grammar: None | str | Unset = UNSET
    """ EBNF; the first rule is `root`. """
    json_object: bool | None | Unset = UNSET
    """ Any JSON object. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.json_schema import JsonSchema  # noqa: PLC0415

        json: dict[str, Any] | None | str | Unset
        if isinstance(self.json, Unset):
            json = UNSET
        elif isinstance(self.json, JsonSchema):
            json = self.json.to_dict()
        else:
            json = self.json

        regex: None | str | Unset
        if isinstance(self.regex, Unset):
            regex = UNSET
        else:
            regex = self.regex

        choice: list[str] | None | Unset
        if isinstance(self.choice, Unset):
            choice = UNSET
        elif isinstance(self.choice, list):
            choice = self.choice

        else:
            choice = self.choice

        grammar: None | str | Unset
        if isinstance(self.grammar, Unset):
            grammar = UNSET
        else:
            grammar = self.grammar

        json_object: bool | None | Unset
        if isinstance(self.json_object, Unset):
            json_object = UNSET
        else:
            json_object = self.json_object

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if json is not UNSET:
            field_dict["json"] = json
        if regex is not UNSET:
            field_dict["regex"] = regex
        if choice is not UNSET:
            field_dict["choice"] = choice
        if grammar is not UNSET:
            field_dict["grammar"] = grammar
        if json_object is not UNSET:
            field_dict["json_object"] = json_object

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.json_schema import JsonSchema  # noqa: PLC0415

        d = dict(src_dict)

        def _parse_json(data: object) -> JsonSchema | None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_json_schema_or_text_type_0 = JsonSchema.from_dict(data)

                return componentsschemas_json_schema_or_text_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(JsonSchema | None | str | Unset, data)

        json = _parse_json(d.pop("json", UNSET))

        def _parse_regex(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        regex = _parse_regex(d.pop("regex", UNSET))

        def _parse_choice(data: object) -> list[str] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                choice_type_0 = cast(list[str], data)

                return choice_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None | Unset, data)

        choice = _parse_choice(d.pop("choice", UNSET))

        def _parse_grammar(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        grammar = _parse_grammar(d.pop("grammar", UNSET))

        def _parse_json_object(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        json_object = _parse_json_object(d.pop("json_object", UNSET))

        structured_outputs = cls(
            json=json,
            regex=regex,
            choice=choice,
            grammar=grammar,
            json_object=json_object,
        )

        structured_outputs.additional_properties = d
        return structured_outputs

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
