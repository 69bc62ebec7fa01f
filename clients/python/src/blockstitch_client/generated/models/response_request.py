from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.attention_mode import AttentionMode, check_attention_mode
from ..models.tool_choice_mode import ToolChoiceMode, check_tool_choice_mode
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.attention_options import AttentionOptions
    from ..models.document_input import DocumentInput
    from ..models.response_allowed_tools import ResponseAllowedTools
    from ..models.response_function_call_input import ResponseFunctionCallInput
    from ..models.response_function_call_output import ResponseFunctionCallOutput
    from ..models.response_function_tool import ResponseFunctionTool
    from ..models.response_input_message import ResponseInputMessage
    from ..models.response_named_tool import ResponseNamedTool
    from ..models.response_request_metadata_type_0 import ResponseRequestMetadataType0
    from ..models.response_text_options import ResponseTextOptions
    from ..models.segmentation import Segmentation


T = TypeVar("T", bound="ResponseRequest")


@_attrs_define
class ResponseRequest:
    """No state, no reasoning, one answer: `previous_response_id`, `conversation`, `background`, `prompt`, `include`,
    `reasoning`, `truncation`, `top_logprobs`, `max_tool_calls` and `n` are refused by name, and so are the fields that
    only a chat has. Others that are not here are ignored.

    """

    input_: list[ResponseFunctionCallInput | ResponseFunctionCallOutput | ResponseInputMessage] | str
    """ A question, or messages, calls and their results. A user sends more than white space. """
    model: None | str | Unset = UNSET
    """ The served model; any other name is 404. """
    instructions: None | str | Unset = UNSET
    """ A system message in front of the input. """
    documents: list[DocumentInput | str] | None | Unset = UNSET
    """ In the order in which they are stitched: texts, or objects. """
    segmentation: None | Segmentation | Unset = UNSET
    """ How documents are cut into blocks. `min_tokens` <= `target_tokens` <= `max_tokens`, also where defaults
    stand in; `target_tokens` or `granularity`, not both. """
    auto_blocks: bool | None | Unset = UNSET
    """ Cut messages of more than a few hundred tokens into blocks: a passage that was seen before is a hit wherever
    it stands. `false`: they stay whole. If absent, `--auto-blocks` decides. """
    attention: AttentionMode | AttentionOptions | None | Unset = UNSET
    """ `block` stitches cached blocks; `full` is ordinary causal attention over the same tokens. If absent, the
    checkpoint's own mode; one that was not trained for blocks gets `--repair`. `block` alone repairs nothing. """
    citations: bool | None | Unset = UNSET
    """ Report for each sentence of the answer which blocks it quotes. """
    cache_salt: None | str | Unset = UNSET
    """ Separates tenants: blocks cached under one salt are never used under another. The header `x-cache-salt` may
    not name another one. """
    max_output_tokens: int | None | Unset = UNSET
    """ New tokens at most; the server allows so many: `--max-tokens`. """
    temperature: float | None | Unset = UNSET
    """ 0 = greedy. If absent, the checkpoint's (generation_config.json), else 1. """
    top_p: float | None | Unset = UNSET
    """ Only the likeliest tokens that make up this much; 0 = greedy. If absent, the checkpoint's, else 1. """
    seed: int | None | Unset = UNSET
    """ The same seed draws the same answer; choice i takes seed + i. The low 32 bits count. """
    prompt_lookup: bool | None | Unset = UNSET
    """ Whether tokens may be proposed from the documents (or a `prediction`) and verified several in a step. The
    answer is the same either way. Default: `--prompt-lookup`, which can turn it off for all. """
    text: None | ResponseTextOptions | Unset = UNSET
    """ What the answer looks like. """
    tools: list[ResponseFunctionTool] | None | Unset = UNSET
    """ Functions that the model may call. No name stands twice. """
    tool_choice: None | ResponseAllowedTools | ResponseNamedTool | ToolChoiceMode | Unset = UNSET
    """ `auto` (the default with tools): the model decides. `required`: it calls at least one. A function: it calls
    this one, once. `allowed_tools`: the same as its mode, but only these are called; the prompt shows all. `none`:
    it calls none. All but `none` and `auto` need `tools`, and a function must be one of them. """
    parallel_tool_calls: bool | None | Unset = UNSET
    """ Whether one answer may have several calls. Default: true. """
    stream: bool | None | Unset = UNSET
    """ Server-sent events instead of one answer. """
    store: bool | None | Unset = UNSET
    """ Nothing is stored, whatever it says. """
    metadata: None | ResponseRequestMetadataType0 | Unset = UNSET
    """ Comes back in the answer. """
    user: None | str | Unset = UNSET
    """ Accepted and ignored. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.attention_options import AttentionOptions  # noqa: PLC0415
        from ..models.document_input import DocumentInput  # noqa: PLC0415
        from ..models.response_allowed_tools import ResponseAllowedTools  # noqa: PLC0415
        from ..models.response_function_call_input import ResponseFunctionCallInput  # noqa: PLC0415
        from ..models.response_input_message import ResponseInputMessage  # noqa: PLC0415
        from ..models.response_named_tool import ResponseNamedTool  # noqa: PLC0415
        from ..models.response_request_metadata_type_0 import (
            ResponseRequestMetadataType0,  # noqa: PLC0415
        )
        from ..models.response_text_options import ResponseTextOptions  # noqa: PLC0415
        from ..models.segmentation import Segmentation  # noqa: PLC0415

        input_: list[dict[str, Any]] | str
        if isinstance(self.input_, list):
            input_ = []
            for input_type_1_item_data in self.input_:
                input_type_1_item: dict[str, Any]
                if isinstance(input_type_1_item_data, ResponseInputMessage):
                    input_type_1_item = input_type_1_item_data.to_dict()
                elif isinstance(input_type_1_item_data, ResponseFunctionCallInput):
                    input_type_1_item = input_type_1_item_data.to_dict()
                else:
                    input_type_1_item = input_type_1_item_data.to_dict()

                input_.append(input_type_1_item)

        else:
            input_ = self.input_

        model: None | str | Unset
        if isinstance(self.model, Unset):
            model = UNSET
        else:
            model = self.model

        instructions: None | str | Unset
        if isinstance(self.instructions, Unset):
            instructions = UNSET
        else:
            instructions = self.instructions

        documents: list[dict[str, Any] | str] | None | Unset
        if isinstance(self.documents, Unset):
            documents = UNSET
        elif isinstance(self.documents, list):
            documents = []
            for documents_type_0_item_data in self.documents:
                documents_type_0_item: dict[str, Any] | str
                if isinstance(documents_type_0_item_data, DocumentInput):
                    documents_type_0_item = documents_type_0_item_data.to_dict()
                else:
                    documents_type_0_item = documents_type_0_item_data
                documents.append(documents_type_0_item)

        else:
            documents = self.documents

        segmentation: dict[str, Any] | None | Unset
        if isinstance(self.segmentation, Unset):
            segmentation = UNSET
        elif isinstance(self.segmentation, Segmentation):
            segmentation = self.segmentation.to_dict()
        else:
            segmentation = self.segmentation

        auto_blocks: bool | None | Unset
        if isinstance(self.auto_blocks, Unset):
            auto_blocks = UNSET
        else:
            auto_blocks = self.auto_blocks

        attention: dict[str, Any] | None | str | Unset
        if isinstance(self.attention, Unset):
            attention = UNSET
        elif isinstance(self.attention, str):
            attention = self.attention
        elif isinstance(self.attention, AttentionOptions):
            attention = self.attention.to_dict()
        else:
            attention = self.attention

        citations: bool | None | Unset
        if isinstance(self.citations, Unset):
            citations = UNSET
        else:
            citations = self.citations

        cache_salt: None | str | Unset
        if isinstance(self.cache_salt, Unset):
            cache_salt = UNSET
        else:
            cache_salt = self.cache_salt

        max_output_tokens: int | None | Unset
        if isinstance(self.max_output_tokens, Unset):
            max_output_tokens = UNSET
        else:
            max_output_tokens = self.max_output_tokens

        temperature: float | None | Unset
        if isinstance(self.temperature, Unset):
            temperature = UNSET
        else:
            temperature = self.temperature

        top_p: float | None | Unset
        if isinstance(self.top_p, Unset):
            top_p = UNSET
        else:
            top_p = self.top_p

        seed: int | None | Unset
        if isinstance(self.seed, Unset):
            seed = UNSET
        else:
            seed = self.seed

        prompt_lookup: bool | None | Unset
        if isinstance(self.prompt_lookup, Unset):
            prompt_lookup = UNSET
        else:
            prompt_lookup = self.prompt_lookup

        text: dict[str, Any] | None | Unset
        if isinstance(self.text, Unset):
            text = UNSET
        elif isinstance(self.text, ResponseTextOptions):
            text = self.text.to_dict()
        else:
            text = self.text

        tools: list[dict[str, Any]] | None | Unset
        if isinstance(self.tools, Unset):
            tools = UNSET
        elif isinstance(self.tools, list):
            tools = []
            for tools_type_0_item_data in self.tools:
                tools_type_0_item = tools_type_0_item_data.to_dict()
                tools.append(tools_type_0_item)

        else:
            tools = self.tools

        tool_choice: dict[str, Any] | None | str | Unset
        if isinstance(self.tool_choice, Unset):
            tool_choice = UNSET
        elif isinstance(self.tool_choice, str):
            tool_choice = self.tool_choice
        elif isinstance(self.tool_choice, ResponseNamedTool):
            tool_choice = self.tool_choice.to_dict()
        elif isinstance(self.tool_choice, ResponseAllowedTools):
            tool_choice = self.tool_choice.to_dict()
        else:
            tool_choice = self.tool_choice

        parallel_tool_calls: bool | None | Unset
        if isinstance(self.parallel_tool_calls, Unset):
            parallel_tool_calls = UNSET
        else:
            parallel_tool_calls = self.parallel_tool_calls

        stream: bool | None | Unset
        if isinstance(self.stream, Unset):
            stream = UNSET
        else:
            stream = self.stream

        store: bool | None | Unset
        if isinstance(self.store, Unset):
            store = UNSET
        else:
            store = self.store

        metadata: dict[str, Any] | None | Unset
        if isinstance(self.metadata, Unset):
            metadata = UNSET
        elif isinstance(self.metadata, ResponseRequestMetadataType0):
            metadata = self.metadata.to_dict()
        else:
            metadata = self.metadata

        user: None | str | Unset
        if isinstance(self.user, Unset):
            user = UNSET
        else:
            user = self.user

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "input": input_,
            }
        )
        if model is not UNSET:
            field_dict["model"] = model
        if instructions is not UNSET:
            field_dict["instructions"] = instructions
        if documents is not UNSET:
            field_dict["documents"] = documents
        if segmentation is not UNSET:
            field_dict["segmentation"] = segmentation
        if auto_blocks is not UNSET:
            field_dict["auto_blocks"] = auto_blocks
        if attention is not UNSET:
            field_dict["attention"] = attention
        if citations is not UNSET:
            field_dict["citations"] = citations
        if cache_salt is not UNSET:
            field_dict["cache_salt"] = cache_salt
        if max_output_tokens is not UNSET:
            field_dict["max_output_tokens"] = max_output_tokens
        if temperature is not UNSET:
            field_dict["temperature"] = temperature
        if top_p is not UNSET:
            field_dict["top_p"] = top_p
        if seed is not UNSET:
            field_dict["seed"] = seed
        if prompt_lookup is not UNSET:
            field_dict["prompt_lookup"] = prompt_lookup
        if text is not UNSET:
            field_dict["text"] = text
        if tools is not UNSET:
            field_dict["tools"] = tools
        if tool_choice is not UNSET:
            field_dict["tool_choice"] = tool_choice
        if parallel_tool_calls is not UNSET:
            field_dict["parallel_tool_calls"] = parallel_tool_calls
        if stream is not UNSET:
            field_dict["stream"] = stream
        if store is not UNSET:
            field_dict["store"] = store
        if metadata is not UNSET:
            field_dict["metadata"] = metadata
        if user is not UNSET:
            field_dict["user"] = user

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.attention_options import AttentionOptions  # noqa: PLC0415
        from ..models.document_input import DocumentInput  # noqa: PLC0415
        from ..models.response_allowed_tools import ResponseAllowedTools  # noqa: PLC0415
        from ..models.response_function_call_input import ResponseFunctionCallInput  # noqa: PLC0415
        from ..models.response_function_call_output import ResponseFunctionCallOutput  # noqa: PLC0415
        from ..models.response_function_tool import ResponseFunctionTool  # noqa: PLC0415
        from ..models.response_input_message import ResponseInputMessage  # noqa: PLC0415
        from ..models.response_named_tool import ResponseNamedTool  # noqa: PLC0415
        from ..models.response_request_metadata_type_0 import (
            ResponseRequestMetadataType0,  # noqa: PLC0415
        )
        from ..models.response_text_options import ResponseTextOptions  # noqa: PLC0415
        from ..models.segmentation import Segmentation  # noqa: PLC0415

        d = dict(src_dict)

        def _parse_input_(
            data: object,
        ) -> list[ResponseFunctionCallInput | ResponseFunctionCallOutput | ResponseInputMessage] | str:
            try:
                if not isinstance(data, list):
                    raise TypeError()
                input_type_1 = []
                _input_type_1 = data
                for input_type_1_item_data in _input_type_1:

                    def _parse_input_type_1_item(
                        data: object,
                    ) -> ResponseFunctionCallInput | ResponseFunctionCallOutput | ResponseInputMessage:
                        try:
                            if not isinstance(data, dict):
                                raise TypeError()
                            input_type_1_item_type_0 = ResponseInputMessage.from_dict(data)

                            return input_type_1_item_type_0
                        except (TypeError, ValueError, AttributeError, KeyError):
                            pass
                        try:
                            if not isinstance(data, dict):
                                raise TypeError()
                            input_type_1_item_type_1 = ResponseFunctionCallInput.from_dict(data)

                            return input_type_1_item_type_1
                        except (TypeError, ValueError, AttributeError, KeyError):
                            pass
                        if not isinstance(data, dict):
                            raise TypeError()
                        input_type_1_item_type_2 = ResponseFunctionCallOutput.from_dict(data)

                        return input_type_1_item_type_2

                    input_type_1_item = _parse_input_type_1_item(input_type_1_item_data)

                    input_type_1.append(input_type_1_item)

                return input_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[ResponseFunctionCallInput | ResponseFunctionCallOutput | ResponseInputMessage] | str, data)

        input_ = _parse_input_(d.pop("input"))

        def _parse_model(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        model = _parse_model(d.pop("model", UNSET))

        def _parse_instructions(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        instructions = _parse_instructions(d.pop("instructions", UNSET))

        def _parse_documents(data: object) -> list[DocumentInput | str] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                documents_type_0 = []
                _documents_type_0 = data
                for documents_type_0_item_data in _documents_type_0:

                    def _parse_documents_type_0_item(data: object) -> DocumentInput | str:
                        try:
                            if not isinstance(data, dict):
                                raise TypeError()
                            documents_type_0_item_type_1 = DocumentInput.from_dict(data)

                            return documents_type_0_item_type_1
                        except (TypeError, ValueError, AttributeError, KeyError):
                            pass
                        return cast(DocumentInput | str, data)

                    documents_type_0_item = _parse_documents_type_0_item(documents_type_0_item_data)

                    documents_type_0.append(documents_type_0_item)

                return documents_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[DocumentInput | str] | None | Unset, data)

        documents = _parse_documents(d.pop("documents", UNSET))

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

        def _parse_auto_blocks(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        auto_blocks = _parse_auto_blocks(d.pop("auto_blocks", UNSET))

        def _parse_attention(data: object) -> AttentionMode | AttentionOptions | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                componentsschemas_attention_type_0 = check_attention_mode(data)

                return componentsschemas_attention_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_attention_type_1 = AttentionOptions.from_dict(data)

                return componentsschemas_attention_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AttentionMode | AttentionOptions | None | Unset, data)

        attention = _parse_attention(d.pop("attention", UNSET))

        def _parse_citations(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        citations = _parse_citations(d.pop("citations", UNSET))

        def _parse_cache_salt(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        cache_salt = _parse_cache_salt(d.pop("cache_salt", UNSET))

        def _parse_max_output_tokens(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        max_output_tokens = _parse_max_output_tokens(d.pop("max_output_tokens", UNSET))

        def _parse_temperature(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        temperature = _parse_temperature(d.pop("temperature", UNSET))

        def _parse_top_p(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        top_p = _parse_top_p(d.pop("top_p", UNSET))

        def _parse_seed(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        seed = _parse_seed(d.pop("seed", UNSET))

        def _parse_prompt_lookup(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        prompt_lookup = _parse_prompt_lookup(d.pop("prompt_lookup", UNSET))

        def _parse_text(data: object) -> None | ResponseTextOptions | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                text_type_0 = ResponseTextOptions.from_dict(data)

                return text_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | ResponseTextOptions | Unset, data)

        text = _parse_text(d.pop("text", UNSET))

        def _parse_tools(data: object) -> list[ResponseFunctionTool] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                tools_type_0 = []
                _tools_type_0 = data
                for tools_type_0_item_data in _tools_type_0:
                    tools_type_0_item = ResponseFunctionTool.from_dict(tools_type_0_item_data)

                    tools_type_0.append(tools_type_0_item)

                return tools_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[ResponseFunctionTool] | None | Unset, data)

        tools = _parse_tools(d.pop("tools", UNSET))

        def _parse_tool_choice(
            data: object,
        ) -> None | ResponseAllowedTools | ResponseNamedTool | ToolChoiceMode | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
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
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                tool_choice_type_2 = ResponseAllowedTools.from_dict(data)

                return tool_choice_type_2
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | ResponseAllowedTools | ResponseNamedTool | ToolChoiceMode | Unset, data)

        tool_choice = _parse_tool_choice(d.pop("tool_choice", UNSET))

        def _parse_parallel_tool_calls(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        parallel_tool_calls = _parse_parallel_tool_calls(d.pop("parallel_tool_calls", UNSET))

        def _parse_stream(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        stream = _parse_stream(d.pop("stream", UNSET))

        def _parse_store(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        store = _parse_store(d.pop("store", UNSET))

        def _parse_metadata(data: object) -> None | ResponseRequestMetadataType0 | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                metadata_type_0 = ResponseRequestMetadataType0.from_dict(data)

                return metadata_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | ResponseRequestMetadataType0 | Unset, data)

        metadata = _parse_metadata(d.pop("metadata", UNSET))

        def _parse_user(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        user = _parse_user(d.pop("user", UNSET))

        response_request = cls(
            input_=input_,
            model=model,
            instructions=instructions,
            documents=documents,
            segmentation=segmentation,
            auto_blocks=auto_blocks,
            attention=attention,
            citations=citations,
            cache_salt=cache_salt,
            max_output_tokens=max_output_tokens,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
            prompt_lookup=prompt_lookup,
            text=text,
            tools=tools,
            tool_choice=tool_choice,
            parallel_tool_calls=parallel_tool_calls,
            stream=stream,
            store=store,
            metadata=metadata,
            user=user,
        )

        response_request.additional_properties = d
        return response_request

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
