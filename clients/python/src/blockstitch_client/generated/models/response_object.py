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

from ..models.response_status import ResponseStatus, check_response_status
from ..models.tool_choice_mode import ToolChoiceMode, check_tool_choice_mode
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.incomplete_details import IncompleteDetails
    from ..models.job_error import JobError
    from ..models.report import Report
    from ..models.response_allowed_tools import ResponseAllowedTools
    from ..models.response_function_call import ResponseFunctionCall
    from ..models.response_message import ResponseMessage
    from ..models.response_named_tool import ResponseNamedTool
    from ..models.response_object_metadata import ResponseObjectMetadata
    from ..models.response_shown_tool import ResponseShownTool
    from ..models.response_text_settings import ResponseTextSettings
    from ..models.response_usage import ResponseUsage


T = TypeVar("T", bound="ResponseObject")


@_attrs_define
class ResponseObject:
    id: str
    object_: Literal["response"]
    created_at: int
    """ Unix time, seconds. """
    status: ResponseStatus
    error: JobError | None
    incomplete_details: IncompleteDetails | None
    instructions: None | str
    max_output_tokens: int | None
    model: str
    output: list[ResponseFunctionCall | ResponseMessage]
    """ Text and calls, in the order in which they were written. """
    parallel_tool_calls: bool
    previous_response_id: None | str
    """ Always null: nothing is stored. """
    store: bool
    temperature: float | None
    top_p: float | None
    text: ResponseTextSettings
    tool_choice: ResponseAllowedTools | ResponseNamedTool | ToolChoiceMode
    tools: list[ResponseShownTool]
    truncation: Literal["disabled"]
    metadata: ResponseObjectMetadata
    usage: None | ResponseUsage
    blockstitch: Report | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.incomplete_details import IncompleteDetails  # noqa: PLC0415
        from ..models.job_error import JobError  # noqa: PLC0415
        from ..models.response_message import ResponseMessage  # noqa: PLC0415
        from ..models.response_named_tool import ResponseNamedTool  # noqa: PLC0415
        from ..models.response_usage import ResponseUsage  # noqa: PLC0415

        id = self.id

        object_ = self.object_

        created_at = self.created_at

        status: str = self.status

        error: dict[str, Any] | None
        if isinstance(self.error, JobError):
            error = self.error.to_dict()
        else:
            error = self.error

        incomplete_details: dict[str, Any] | None
        if isinstance(self.incomplete_details, IncompleteDetails):
            incomplete_details = self.incomplete_details.to_dict()
        else:
            incomplete_details = self.incomplete_details

        instructions: None | str
        instructions = self.instructions

        max_output_tokens: int | None
        max_output_tokens = self.max_output_tokens

        model = self.model

        output = []
        for output_item_data in self.output:
            output_item: dict[str, Any]
            if isinstance(output_item_data, ResponseMessage):
                output_item = output_item_data.to_dict()
            else:
                output_item = output_item_data.to_dict()

            output.append(output_item)

        parallel_tool_calls = self.parallel_tool_calls

        previous_response_id: None | str
        previous_response_id = self.previous_response_id

        store = self.store

        temperature: float | None
        temperature = self.temperature

        top_p: float | None
        top_p = self.top_p

        text = self.text.to_dict()

        tool_choice: dict[str, Any] | str
        if isinstance(self.tool_choice, str):
            tool_choice = self.tool_choice
        elif isinstance(self.tool_choice, ResponseNamedTool):
            tool_choice = self.tool_choice.to_dict()
        else:
            tool_choice = self.tool_choice.to_dict()

        tools = []
        for tools_item_data in self.tools:
            tools_item = tools_item_data.to_dict()
            tools.append(tools_item)

        truncation = self.truncation

        metadata = self.metadata.to_dict()

        usage: dict[str, Any] | None
        if isinstance(self.usage, ResponseUsage):
            usage = self.usage.to_dict()
        else:
            usage = self.usage

        blockstitch: dict[str, Any] | Unset = UNSET
        if not isinstance(self.blockstitch, Unset):
            blockstitch = self.blockstitch.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "object": object_,
                "created_at": created_at,
                "status": status,
                "error": error,
                "incomplete_details": incomplete_details,
                "instructions": instructions,
                "max_output_tokens": max_output_tokens,
                "model": model,
                "output": output,
                "parallel_tool_calls": parallel_tool_calls,
                "previous_response_id": previous_response_id,
                "store": store,
                "temperature": temperature,
                "top_p": top_p,
                "text": text,
                "tool_choice": tool_choice,
                "tools": tools,
                "truncation": truncation,
                "metadata": metadata,
                "usage": usage,
            }
        )
        if blockstitch is not UNSET:
            field_dict["blockstitch"] = blockstitch

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.incomplete_details import IncompleteDetails  # noqa: PLC0415
        from ..models.job_error import JobError  # noqa: PLC0415
        from ..models.report import Report  # noqa: PLC0415
        from ..models.response_allowed_tools import ResponseAllowedTools  # noqa: PLC0415
        from ..models.response_function_call import ResponseFunctionCall  # noqa: PLC0415
        from ..models.response_message import ResponseMessage  # noqa: PLC0415
        from ..models.response_named_tool import ResponseNamedTool  # noqa: PLC0415
        from ..models.response_object_metadata import ResponseObjectMetadata  # noqa: PLC0415
        from ..models.response_shown_tool import ResponseShownTool  # noqa: PLC0415
        from ..models.response_text_settings import ResponseTextSettings  # noqa: PLC0415
        from ..models.response_usage import ResponseUsage  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")

        object_ = cast(Literal["response"], d.pop("object"))
        if object_ != "response":
            raise ValueError(f"object must match const 'response', got '{object_}'")

        created_at = d.pop("created_at")

        status = check_response_status(d.pop("status"))

        def _parse_error(data: object) -> JobError | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                error_type_0 = JobError.from_dict(data)

                return error_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(JobError | None, data)

        error = _parse_error(d.pop("error"))

        def _parse_incomplete_details(data: object) -> IncompleteDetails | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                incomplete_details_type_0 = IncompleteDetails.from_dict(data)

                return incomplete_details_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(IncompleteDetails | None, data)

        incomplete_details = _parse_incomplete_details(d.pop("incomplete_details"))

        def _parse_instructions(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        instructions = _parse_instructions(d.pop("instructions"))

        def _parse_max_output_tokens(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        max_output_tokens = _parse_max_output_tokens(d.pop("max_output_tokens"))

        model = d.pop("model")

        output = []
        _output = d.pop("output")
        for output_item_data in _output:

            def _parse_output_item(data: object) -> ResponseFunctionCall | ResponseMessage:
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

            output_item = _parse_output_item(output_item_data)

            output.append(output_item)

        parallel_tool_calls = d.pop("parallel_tool_calls")

        def _parse_previous_response_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        previous_response_id = _parse_previous_response_id(d.pop("previous_response_id"))

        store = d.pop("store")

        def _parse_temperature(data: object) -> float | None:
            if data is None:
                return data
            return cast(float | None, data)

        temperature = _parse_temperature(d.pop("temperature"))

        def _parse_top_p(data: object) -> float | None:
            if data is None:
                return data
            return cast(float | None, data)

        top_p = _parse_top_p(d.pop("top_p"))

        text = ResponseTextSettings.from_dict(d.pop("text"))

        def _parse_tool_choice(data: object) -> ResponseAllowedTools | ResponseNamedTool | ToolChoiceMode:
            try:
                if not isinstance(data, str):
                    raise TypeError()
                tool_choice_type_0 = check_tool_choice_mode(data)

                return tool_choice_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                tool_choice_type_1 = ResponseNamedTool.from_dict(data)

                return tool_choice_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            if not isinstance(data, dict):
                raise TypeError()
            tool_choice_type_2 = ResponseAllowedTools.from_dict(data)

            return tool_choice_type_2

        tool_choice = _parse_tool_choice(d.pop("tool_choice"))

        tools = []
        _tools = d.pop("tools")
        for tools_item_data in _tools:
            tools_item = ResponseShownTool.from_dict(tools_item_data)

            tools.append(tools_item)

        truncation = cast(Literal["disabled"], d.pop("truncation"))
        if truncation != "disabled":
            raise ValueError(f"truncation must match const 'disabled', got '{truncation}'")

        metadata = ResponseObjectMetadata.from_dict(d.pop("metadata"))

        def _parse_usage(data: object) -> None | ResponseUsage:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                usage_type_0 = ResponseUsage.from_dict(data)

                return usage_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | ResponseUsage, data)

        usage = _parse_usage(d.pop("usage"))

        _blockstitch = d.pop("blockstitch", UNSET)
        blockstitch: Report | Unset
        if isinstance(_blockstitch, Unset):
            blockstitch = UNSET
        else:
            blockstitch = Report.from_dict(_blockstitch)

        response_object = cls(
            id=id,
            object_=object_,
            created_at=created_at,
            status=status,
            error=error,
            incomplete_details=incomplete_details,
            instructions=instructions,
            max_output_tokens=max_output_tokens,
            model=model,
            output=output,
            parallel_tool_calls=parallel_tool_calls,
            previous_response_id=previous_response_id,
            store=store,
            temperature=temperature,
            top_p=top_p,
            text=text,
            tool_choice=tool_choice,
            tools=tools,
            truncation=truncation,
            metadata=metadata,
            usage=usage,
            blockstitch=blockstitch,
        )

        response_object.additional_properties = d
        return response_object

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
