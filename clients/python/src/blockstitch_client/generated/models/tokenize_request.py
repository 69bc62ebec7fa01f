from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.attention_mode import AttentionMode, check_attention_mode
from ..models.tool_choice_mode import ToolChoiceMode, check_tool_choice_mode
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.allowed_tools_choice import AllowedToolsChoice
    from ..models.attention_options import AttentionOptions
    from ..models.chat_message import ChatMessage
    from ..models.chat_template_kwargs import ChatTemplateKwargs
    from ..models.document_input import DocumentInput
    from ..models.named_tool import NamedTool
    from ..models.segmentation import Segmentation
    from ..models.tool import Tool


T = TypeVar("T", bound="TokenizeRequest")


@_attrs_define
class TokenizeRequest:
    model: None | str | Unset = UNSET
    """ The served model; any other name is 404. """
    prompt: None | str | Unset = UNSET
    """ A text that is not empty, nor only what begins every prompt. Either this or `messages`. """
    add_special_tokens: bool | None | Unset = UNSET
    """ Whether a text's ids begin with those that stand in front of every prompt. Default: true. """
    return_token_strs: bool | None | Unset = UNSET
    """ Each token as text, too. """
    messages: list[ChatMessage] | None | Unset = UNSET
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
    cache_salt: None | str | Unset = UNSET
    """ Separates tenants: blocks cached under one salt are never used under another. The header `x-cache-salt` may
    not name another one. """
    tools: list[Tool] | None | Unset = UNSET
    """ Functions that the model may call. No name stands twice. """
    tool_choice: AllowedToolsChoice | NamedTool | None | ToolChoiceMode | Unset = UNSET
    """ `auto` (the default with tools): the model decides. `required`: it calls at least one. A function: it calls
    this one, once. `allowed_tools`: the same as its mode, but only these are called; the prompt shows all. `none`:
    it calls none. All but `none` and `auto` need `tools`, and a function must be one of them. """
    chat_template_kwargs: ChatTemplateKwargs | None | Unset = UNSET
    """ Variables of the chat template, such as `{"enable_thinking": false}`. Names that the server sets itself, as
    `messages`, are refused. """
    add_generation_prompt: bool | None | Unset = UNSET
    """ Whether the prompt ends with the header of an answer. Default: true, unless the last message is continued.
    """
    continue_final_message: bool | None | Unset = UNSET
    """ The answer continues the last message, which must have text, instead of starting a new one. Not with
    `add_generation_prompt: true`. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.allowed_tools_choice import AllowedToolsChoice  # noqa: PLC0415
        from ..models.attention_options import AttentionOptions  # noqa: PLC0415
        from ..models.chat_template_kwargs import ChatTemplateKwargs  # noqa: PLC0415
        from ..models.document_input import DocumentInput  # noqa: PLC0415
        from ..models.named_tool import NamedTool  # noqa: PLC0415
        from ..models.segmentation import Segmentation  # noqa: PLC0415

        model: None | str | Unset
        if isinstance(self.model, Unset):
            model = UNSET
        else:
            model = self.model

        prompt: None | str | Unset
        if isinstance(self.prompt, Unset):
            prompt = UNSET
        else:
            prompt = self.prompt

        add_special_tokens: bool | None | Unset
        if isinstance(self.add_special_tokens, Unset):
            add_special_tokens = UNSET
        else:
            add_special_tokens = self.add_special_tokens

        return_token_strs: bool | None | Unset
        if isinstance(self.return_token_strs, Unset):
            return_token_strs = UNSET
        else:
            return_token_strs = self.return_token_strs

        messages: list[dict[str, Any]] | None | Unset
        if isinstance(self.messages, Unset):
            messages = UNSET
        elif isinstance(self.messages, list):
            messages = []
            for messages_type_0_item_data in self.messages:
                messages_type_0_item = messages_type_0_item_data.to_dict()
                messages.append(messages_type_0_item)

        else:
            messages = self.messages

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

        cache_salt: None | str | Unset
        if isinstance(self.cache_salt, Unset):
            cache_salt = UNSET
        else:
            cache_salt = self.cache_salt

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
        elif isinstance(self.tool_choice, NamedTool):
            tool_choice = self.tool_choice.to_dict()
        elif isinstance(self.tool_choice, AllowedToolsChoice):
            tool_choice = self.tool_choice.to_dict()
        else:
            tool_choice = self.tool_choice

        chat_template_kwargs: dict[str, Any] | None | Unset
        if isinstance(self.chat_template_kwargs, Unset):
            chat_template_kwargs = UNSET
        elif isinstance(self.chat_template_kwargs, ChatTemplateKwargs):
            chat_template_kwargs = self.chat_template_kwargs.to_dict()
        else:
            chat_template_kwargs = self.chat_template_kwargs

        add_generation_prompt: bool | None | Unset
        if isinstance(self.add_generation_prompt, Unset):
            add_generation_prompt = UNSET
        else:
            add_generation_prompt = self.add_generation_prompt

        continue_final_message: bool | None | Unset
        if isinstance(self.continue_final_message, Unset):
            continue_final_message = UNSET
        else:
            continue_final_message = self.continue_final_message

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if model is not UNSET:
            field_dict["model"] = model
        if prompt is not UNSET:
            field_dict["prompt"] = prompt
        if add_special_tokens is not UNSET:
            field_dict["add_special_tokens"] = add_special_tokens
        if return_token_strs is not UNSET:
            field_dict["return_token_strs"] = return_token_strs
        if messages is not UNSET:
            field_dict["messages"] = messages
        if documents is not UNSET:
            field_dict["documents"] = documents
        if segmentation is not UNSET:
            field_dict["segmentation"] = segmentation
        if auto_blocks is not UNSET:
            field_dict["auto_blocks"] = auto_blocks
        if attention is not UNSET:
            field_dict["attention"] = attention
        if cache_salt is not UNSET:
            field_dict["cache_salt"] = cache_salt
        if tools is not UNSET:
            field_dict["tools"] = tools
        if tool_choice is not UNSET:
            field_dict["tool_choice"] = tool_choice
        if chat_template_kwargs is not UNSET:
            field_dict["chat_template_kwargs"] = chat_template_kwargs
        if add_generation_prompt is not UNSET:
            field_dict["add_generation_prompt"] = add_generation_prompt
        if continue_final_message is not UNSET:
            field_dict["continue_final_message"] = continue_final_message

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.allowed_tools_choice import AllowedToolsChoice  # noqa: PLC0415
        from ..models.attention_options import AttentionOptions  # noqa: PLC0415
        from ..models.chat_message import ChatMessage  # noqa: PLC0415
        from ..models.chat_template_kwargs import ChatTemplateKwargs  # noqa: PLC0415
        from ..models.document_input import DocumentInput  # noqa: PLC0415
        from ..models.named_tool import NamedTool  # noqa: PLC0415
        from ..models.segmentation import Segmentation  # noqa: PLC0415
        from ..models.tool import Tool  # noqa: PLC0415

        d = dict(src_dict)

        def _parse_model(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        model = _parse_model(d.pop("model", UNSET))

        def _parse_prompt(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        prompt = _parse_prompt(d.pop("prompt", UNSET))

        def _parse_add_special_tokens(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        add_special_tokens = _parse_add_special_tokens(d.pop("add_special_tokens", UNSET))

        def _parse_return_token_strs(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        return_token_strs = _parse_return_token_strs(d.pop("return_token_strs", UNSET))

        def _parse_messages(data: object) -> list[ChatMessage] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                messages_type_0 = []
                _messages_type_0 = data
                for messages_type_0_item_data in _messages_type_0:
                    messages_type_0_item = ChatMessage.from_dict(messages_type_0_item_data)

                    messages_type_0.append(messages_type_0_item)

                return messages_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[ChatMessage] | None | Unset, data)

        messages = _parse_messages(d.pop("messages", UNSET))

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

        def _parse_cache_salt(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        cache_salt = _parse_cache_salt(d.pop("cache_salt", UNSET))

        def _parse_tools(data: object) -> list[Tool] | None | Unset:
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
                    tools_type_0_item = Tool.from_dict(tools_type_0_item_data)

                    tools_type_0.append(tools_type_0_item)

                return tools_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[Tool] | None | Unset, data)

        tools = _parse_tools(d.pop("tools", UNSET))

        def _parse_tool_choice(data: object) -> AllowedToolsChoice | NamedTool | None | ToolChoiceMode | Unset:
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
                tool_choice_type_1 = NamedTool.from_dict(data)

                return tool_choice_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                tool_choice_type_2 = AllowedToolsChoice.from_dict(data)

                return tool_choice_type_2
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AllowedToolsChoice | NamedTool | None | ToolChoiceMode | Unset, data)

        tool_choice = _parse_tool_choice(d.pop("tool_choice", UNSET))

        def _parse_chat_template_kwargs(data: object) -> ChatTemplateKwargs | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                chat_template_kwargs_type_0 = ChatTemplateKwargs.from_dict(data)

                return chat_template_kwargs_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(ChatTemplateKwargs | None | Unset, data)

        chat_template_kwargs = _parse_chat_template_kwargs(d.pop("chat_template_kwargs", UNSET))

        def _parse_add_generation_prompt(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        add_generation_prompt = _parse_add_generation_prompt(d.pop("add_generation_prompt", UNSET))

        def _parse_continue_final_message(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        continue_final_message = _parse_continue_final_message(d.pop("continue_final_message", UNSET))

        tokenize_request = cls(
            model=model,
            prompt=prompt,
            add_special_tokens=add_special_tokens,
            return_token_strs=return_token_strs,
            messages=messages,
            documents=documents,
            segmentation=segmentation,
            auto_blocks=auto_blocks,
            attention=attention,
            cache_salt=cache_salt,
            tools=tools,
            tool_choice=tool_choice,
            chat_template_kwargs=chat_template_kwargs,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=continue_final_message,
        )

        tokenize_request.additional_properties = d
        return tokenize_request

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
