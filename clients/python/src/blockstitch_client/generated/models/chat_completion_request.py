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
    from ..models.json_schema import JsonSchema
    from ..models.logit_bias import LogitBias
    from ..models.named_tool import NamedTool
    from ..models.prediction import Prediction
    from ..models.response_format import ResponseFormat
    from ..models.segmentation import Segmentation
    from ..models.stream_options import StreamOptions
    from ..models.structured_outputs import StructuredOutputs
    from ..models.tool import Tool


T = TypeVar("T", bound="ChatCompletionRequest")


@_attrs_define
class ChatCompletionRequest:
    messages: list[ChatMessage]
    model: None | str | Unset = UNSET
    """ The served model; any other name is 404. """
    attention: AttentionMode | AttentionOptions | None | Unset = UNSET
    """ `block` stitches cached blocks; `full` is ordinary causal attention over the same tokens. If absent, the
    checkpoint's own mode; one that was not trained for blocks gets `--repair`. `block` alone repairs nothing. """
    cache_salt: None | str | Unset = UNSET
    """ Separates tenants: blocks cached under one salt are never used under another. The header `x-cache-salt` may
    not name another one. """
    max_tokens: int | None | Unset = UNSET
    """ New tokens at most; the server allows so many: `--max-tokens`. """
    temperature: float | None | Unset = UNSET
    """ 0 = greedy. If absent, the checkpoint's (generation_config.json), else 1. """
    top_p: float | None | Unset = UNSET
    """ Only the likeliest tokens that make up this much; 0 = greedy. If absent, the checkpoint's, else 1. """
    top_k: int | None | Unset = UNSET
    """ 0 or -1 = off. If absent, the checkpoint's, else off. """
    min_p: float | None | Unset = UNSET
    """ Only tokens with this share of the likeliest one's probability. """
    presence_penalty: float | None | Unset = UNSET
    """ Taken from the logit of each token that was generated. """
    frequency_penalty: float | None | Unset = UNSET
    """ The same, once for each time it was generated. """
    repetition_penalty: float | None | Unset = UNSET
    """ 1 = off. If absent, the checkpoint's, else off. """
    seed: int | None | Unset = UNSET
    """ The same seed draws the same answer; choice i takes seed + i. The low 32 bits count. """
    stop: list[str] | None | str | Unset = UNSET
    """ Generation ends before any of these: at most `--max-stops` texts of 1 to 1024 characters. """
    stop_token_ids: list[int] | None | Unset = UNSET
    """ End the answer, as end-of-text tokens do. """
    ignore_eos: bool | None | Unset = UNSET
    """ Go on past end-of-text tokens, up to `max_tokens` or a stop of the request. Where a structure holds the
    answer (structured output; tools that are required or strict), such a token comes only where the answer may end,
    and it ends the answer all the same. """
    prompt_lookup: bool | None | Unset = UNSET
    """ Whether tokens may be proposed from the documents (or a `prediction`) and verified several in a step. The
    answer is the same either way. Default: `--prompt-lookup`, which can turn it off for all. """
    logit_bias: LogitBias | None | Unset = UNSET
    """ Added to the logit of each token id of the model before sampling; at most 1024 ids. """
    n: int | None | Unset = UNSET
    """ Choices to return; the server allows so many: `--max-choices`. """
    response_format: None | ResponseFormat | Unset = UNSET
    """ What the answer looks like: every token is chosen among those that fit. The type `json_schema` needs
    `json_schema`. """
    structured_outputs: None | StructuredOutputs | Unset = UNSET
    """ vLLM's form of `response_format`: exactly one of the fields. One request names one structure. """
    guided_json: JsonSchema | None | str | Unset = UNSET
    """ A JSON Schema that can be enforced (docs/api.md), or its text. """
    guided_regex: None | str | Unset = UNSET
    """ As `structured_outputs.regex`. """
    guided_choice: list[str] | None | Unset = UNSET
    """ The answer is one of these: 65,536 characters in all, none of them NUL. """
    guided_grammar: None | str | Unset = UNSET
    """ As `structured_outputs.grammar`. """
    stream: bool | None | Unset = UNSET
    """ Server-sent events instead of one answer. """
    stream_options: None | StreamOptions | Unset = UNSET
    user: None | str | Unset = UNSET
    """ Accepted and ignored. """
    documents: list[DocumentInput | str] | None | Unset = UNSET
    """ In the order in which they are stitched: texts, or objects. """
    segmentation: None | Segmentation | Unset = UNSET
    """ How documents are cut into blocks. `min_tokens` <= `target_tokens` <= `max_tokens`, also where defaults
    stand in; `target_tokens` or `granularity`, not both. """
    tools: list[Tool] | None | Unset = UNSET
    """ Functions that the model may call. No name stands twice. """
    tool_choice: AllowedToolsChoice | NamedTool | None | ToolChoiceMode | Unset = UNSET
    """ `auto` (the default with tools): the model decides. `required`: it calls at least one. A function: it calls
    this one, once. `allowed_tools`: the same as its mode, but only these are called; the prompt shows all. `none`:
    it calls none. All but `none` and `auto` need `tools`, and a function must be one of them. """
    parallel_tool_calls: bool | None | Unset = UNSET
    """ Whether one answer may have several calls. Default: true. """
    citations: bool | None | Unset = UNSET
    """ Report for each sentence of the answer which blocks it quotes. """
    auto_blocks: bool | None | Unset = UNSET
    """ Cut messages of more than a few hundred tokens into blocks: a passage that was seen before is a hit wherever
    it stands. `false`: they stay whole. If absent, `--auto-blocks` decides. """
    chat_template_kwargs: ChatTemplateKwargs | None | Unset = UNSET
    """ Variables of the chat template, such as `{"enable_thinking": false}`. Names that the server sets itself, as
    `messages`, are refused. """
    add_generation_prompt: bool | None | Unset = UNSET
    """ Whether the prompt ends with the header of an answer. Default: true, unless the last message is continued.
    """
    continue_final_message: bool | None | Unset = UNSET
    """ The answer continues the last message, which must have text, instead of starting a new one. Not with
    `add_generation_prompt: true`. """
    prediction: None | Prediction | Unset = UNSET
    """ Text that the answer will repeat in large parts, such as a file that is edited: prompt lookup proposes from
    it. The answer is the same without. """
    max_completion_tokens: int | None | Unset = UNSET
    """ OpenAI's newer name of `max_tokens`; wins over it. """
    logprobs: bool | None | Unset = UNSET
    """ Report the log-probability of each token. """
    top_logprobs: int | None | Unset = UNSET
    """ Needs `logprobs: true`. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.allowed_tools_choice import AllowedToolsChoice  # noqa: PLC0415
        from ..models.attention_options import AttentionOptions  # noqa: PLC0415
        from ..models.chat_template_kwargs import ChatTemplateKwargs  # noqa: PLC0415
        from ..models.document_input import DocumentInput  # noqa: PLC0415
        from ..models.json_schema import JsonSchema  # noqa: PLC0415
        from ..models.logit_bias import LogitBias  # noqa: PLC0415
        from ..models.named_tool import NamedTool  # noqa: PLC0415
        from ..models.prediction import Prediction  # noqa: PLC0415
        from ..models.response_format import ResponseFormat  # noqa: PLC0415
        from ..models.segmentation import Segmentation  # noqa: PLC0415
        from ..models.stream_options import StreamOptions  # noqa: PLC0415
        from ..models.structured_outputs import StructuredOutputs  # noqa: PLC0415

        messages = []
        for messages_item_data in self.messages:
            messages_item = messages_item_data.to_dict()
            messages.append(messages_item)

        model: None | str | Unset
        if isinstance(self.model, Unset):
            model = UNSET
        else:
            model = self.model

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

        max_tokens: int | None | Unset
        if isinstance(self.max_tokens, Unset):
            max_tokens = UNSET
        else:
            max_tokens = self.max_tokens

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

        top_k: int | None | Unset
        if isinstance(self.top_k, Unset):
            top_k = UNSET
        else:
            top_k = self.top_k

        min_p: float | None | Unset
        if isinstance(self.min_p, Unset):
            min_p = UNSET
        else:
            min_p = self.min_p

        presence_penalty: float | None | Unset
        if isinstance(self.presence_penalty, Unset):
            presence_penalty = UNSET
        else:
            presence_penalty = self.presence_penalty

        frequency_penalty: float | None | Unset
        if isinstance(self.frequency_penalty, Unset):
            frequency_penalty = UNSET
        else:
            frequency_penalty = self.frequency_penalty

        repetition_penalty: float | None | Unset
        if isinstance(self.repetition_penalty, Unset):
            repetition_penalty = UNSET
        else:
            repetition_penalty = self.repetition_penalty

        seed: int | None | Unset
        if isinstance(self.seed, Unset):
            seed = UNSET
        else:
            seed = self.seed

        stop: list[str] | None | str | Unset
        if isinstance(self.stop, Unset):
            stop = UNSET
        elif isinstance(self.stop, list):
            stop = self.stop

        else:
            stop = self.stop

        stop_token_ids: list[int] | None | Unset
        if isinstance(self.stop_token_ids, Unset):
            stop_token_ids = UNSET
        elif isinstance(self.stop_token_ids, list):
            stop_token_ids = self.stop_token_ids

        else:
            stop_token_ids = self.stop_token_ids

        ignore_eos: bool | None | Unset
        if isinstance(self.ignore_eos, Unset):
            ignore_eos = UNSET
        else:
            ignore_eos = self.ignore_eos

        prompt_lookup: bool | None | Unset
        if isinstance(self.prompt_lookup, Unset):
            prompt_lookup = UNSET
        else:
            prompt_lookup = self.prompt_lookup

        logit_bias: dict[str, Any] | None | Unset
        if isinstance(self.logit_bias, Unset):
            logit_bias = UNSET
        elif isinstance(self.logit_bias, LogitBias):
            logit_bias = self.logit_bias.to_dict()
        else:
            logit_bias = self.logit_bias

        n: int | None | Unset
        if isinstance(self.n, Unset):
            n = UNSET
        else:
            n = self.n

        response_format: dict[str, Any] | None | Unset
        if isinstance(self.response_format, Unset):
            response_format = UNSET
        elif isinstance(self.response_format, ResponseFormat):
            response_format = self.response_format.to_dict()
        else:
            response_format = self.response_format

        structured_outputs: dict[str, Any] | None | Unset
        if isinstance(self.structured_outputs, Unset):
            structured_outputs = UNSET
        elif isinstance(self.structured_outputs, StructuredOutputs):
            structured_outputs = self.structured_outputs.to_dict()
        else:
            structured_outputs = self.structured_outputs

        guided_json: dict[str, Any] | None | str | Unset
        if isinstance(self.guided_json, Unset):
            guided_json = UNSET
        elif isinstance(self.guided_json, JsonSchema):
            guided_json = self.guided_json.to_dict()
        else:
            guided_json = self.guided_json

        guided_regex: None | str | Unset
        if isinstance(self.guided_regex, Unset):
            guided_regex = UNSET
        else:
            guided_regex = self.guided_regex

        guided_choice: list[str] | None | Unset
        if isinstance(self.guided_choice, Unset):
            guided_choice = UNSET
        elif isinstance(self.guided_choice, list):
            guided_choice = self.guided_choice

        else:
            guided_choice = self.guided_choice

        guided_grammar: None | str | Unset
        if isinstance(self.guided_grammar, Unset):
            guided_grammar = UNSET
        else:
            guided_grammar = self.guided_grammar

        stream: bool | None | Unset
        if isinstance(self.stream, Unset):
            stream = UNSET
        else:
            stream = self.stream

        stream_options: dict[str, Any] | None | Unset
        if isinstance(self.stream_options, Unset):
            stream_options = UNSET
        elif isinstance(self.stream_options, StreamOptions):
            stream_options = self.stream_options.to_dict()
        else:
            stream_options = self.stream_options

        user: None | str | Unset
        if isinstance(self.user, Unset):
            user = UNSET
        else:
            user = self.user

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

        parallel_tool_calls: bool | None | Unset
        if isinstance(self.parallel_tool_calls, Unset):
            parallel_tool_calls = UNSET
        else:
            parallel_tool_calls = self.parallel_tool_calls

        citations: bool | None | Unset
        if isinstance(self.citations, Unset):
            citations = UNSET
        else:
            citations = self.citations

        auto_blocks: bool | None | Unset
        if isinstance(self.auto_blocks, Unset):
            auto_blocks = UNSET
        else:
            auto_blocks = self.auto_blocks

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

        prediction: dict[str, Any] | None | Unset
        if isinstance(self.prediction, Unset):
            prediction = UNSET
        elif isinstance(self.prediction, Prediction):
            prediction = self.prediction.to_dict()
        else:
            prediction = self.prediction

        max_completion_tokens: int | None | Unset
        if isinstance(self.max_completion_tokens, Unset):
            max_completion_tokens = UNSET
        else:
            max_completion_tokens = self.max_completion_tokens

        logprobs: bool | None | Unset
        if isinstance(self.logprobs, Unset):
            logprobs = UNSET
        else:
            logprobs = self.logprobs

        top_logprobs: int | None | Unset
        if isinstance(self.top_logprobs, Unset):
            top_logprobs = UNSET
        else:
            top_logprobs = self.top_logprobs

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "messages": messages,
            }
        )
        if model is not UNSET:
            field_dict["model"] = model
        if attention is not UNSET:
            field_dict["attention"] = attention
        if cache_salt is not UNSET:
            field_dict["cache_salt"] = cache_salt
        if max_tokens is not UNSET:
            field_dict["max_tokens"] = max_tokens
        if temperature is not UNSET:
            field_dict["temperature"] = temperature
        if top_p is not UNSET:
            field_dict["top_p"] = top_p
        if top_k is not UNSET:
            field_dict["top_k"] = top_k
        if min_p is not UNSET:
            field_dict["min_p"] = min_p
        if presence_penalty is not UNSET:
            field_dict["presence_penalty"] = presence_penalty
        if frequency_penalty is not UNSET:
            field_dict["frequency_penalty"] = frequency_penalty
        if repetition_penalty is not UNSET:
            field_dict["repetition_penalty"] = repetition_penalty
        if seed is not UNSET:
            field_dict["seed"] = seed
        if stop is not UNSET:
            field_dict["stop"] = stop
        if stop_token_ids is not UNSET:
            field_dict["stop_token_ids"] = stop_token_ids
        if ignore_eos is not UNSET:
            field_dict["ignore_eos"] = ignore_eos
        if prompt_lookup is not UNSET:
            field_dict["prompt_lookup"] = prompt_lookup
        if logit_bias is not UNSET:
            field_dict["logit_bias"] = logit_bias
        if n is not UNSET:
            field_dict["n"] = n
        if response_format is not UNSET:
            field_dict["response_format"] = response_format
        if structured_outputs is not UNSET:
            field_dict["structured_outputs"] = structured_outputs
        if guided_json is not UNSET:
            field_dict["guided_json"] = guided_json
        if guided_regex is not UNSET:
            field_dict["guided_regex"] = guided_regex
        if guided_choice is not UNSET:
            field_dict["guided_choice"] = guided_choice
        if guided_grammar is not UNSET:
            field_dict["guided_grammar"] = guided_grammar
        if stream is not UNSET:
            field_dict["stream"] = stream
        if stream_options is not UNSET:
            field_dict["stream_options"] = stream_options
        if user is not UNSET:
            field_dict["user"] = user
        if documents is not UNSET:
            field_dict["documents"] = documents
        if segmentation is not UNSET:
            field_dict["segmentation"] = segmentation
        if tools is not UNSET:
            field_dict["tools"] = tools
        if tool_choice is not UNSET:
            field_dict["tool_choice"] = tool_choice
        if parallel_tool_calls is not UNSET:
            field_dict["parallel_tool_calls"] = parallel_tool_calls
        if citations is not UNSET:
            field_dict["citations"] = citations
        if auto_blocks is not UNSET:
            field_dict["auto_blocks"] = auto_blocks
        if chat_template_kwargs is not UNSET:
            field_dict["chat_template_kwargs"] = chat_template_kwargs
        if add_generation_prompt is not UNSET:
            field_dict["add_generation_prompt"] = add_generation_prompt
        if continue_final_message is not UNSET:
            field_dict["continue_final_message"] = continue_final_message
        if prediction is not UNSET:
            field_dict["prediction"] = prediction
        if max_completion_tokens is not UNSET:
            field_dict["max_completion_tokens"] = max_completion_tokens
        if logprobs is not UNSET:
            field_dict["logprobs"] = logprobs
        if top_logprobs is not UNSET:
            field_dict["top_logprobs"] = top_logprobs

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.allowed_tools_choice import AllowedToolsChoice  # noqa: PLC0415
        from ..models.attention_options import AttentionOptions  # noqa: PLC0415
        from ..models.chat_message import ChatMessage  # noqa: PLC0415
        from ..models.chat_template_kwargs import ChatTemplateKwargs  # noqa: PLC0415
        from ..models.document_input import DocumentInput  # noqa: PLC0415
        from ..models.json_schema import JsonSchema  # noqa: PLC0415
        from ..models.logit_bias import LogitBias  # noqa: PLC0415
        from ..models.named_tool import NamedTool  # noqa: PLC0415
        from ..models.prediction import Prediction  # noqa: PLC0415
        from ..models.response_format import ResponseFormat  # noqa: PLC0415
        from ..models.segmentation import Segmentation  # noqa: PLC0415
        from ..models.stream_options import StreamOptions  # noqa: PLC0415
        from ..models.structured_outputs import StructuredOutputs  # noqa: PLC0415
        from ..models.tool import Tool  # noqa: PLC0415

        d = dict(src_dict)
        messages = []
        _messages = d.pop("messages")
        for messages_item_data in _messages:
            messages_item = ChatMessage.from_dict(messages_item_data)

            messages.append(messages_item)

        def _parse_model(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        model = _parse_model(d.pop("model", UNSET))

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

        def _parse_max_tokens(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        max_tokens = _parse_max_tokens(d.pop("max_tokens", UNSET))

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

        def _parse_top_k(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        top_k = _parse_top_k(d.pop("top_k", UNSET))

        def _parse_min_p(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        min_p = _parse_min_p(d.pop("min_p", UNSET))

        def _parse_presence_penalty(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        presence_penalty = _parse_presence_penalty(d.pop("presence_penalty", UNSET))

        def _parse_frequency_penalty(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        frequency_penalty = _parse_frequency_penalty(d.pop("frequency_penalty", UNSET))

        def _parse_repetition_penalty(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        repetition_penalty = _parse_repetition_penalty(d.pop("repetition_penalty", UNSET))

        def _parse_seed(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        seed = _parse_seed(d.pop("seed", UNSET))

        def _parse_stop(data: object) -> list[str] | None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                stop_type_1 = cast(list[str], data)

                return stop_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None | str | Unset, data)

        stop = _parse_stop(d.pop("stop", UNSET))

        def _parse_stop_token_ids(data: object) -> list[int] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                stop_token_ids_type_0 = cast(list[int], data)

                return stop_token_ids_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[int] | None | Unset, data)

        stop_token_ids = _parse_stop_token_ids(d.pop("stop_token_ids", UNSET))

        def _parse_ignore_eos(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        ignore_eos = _parse_ignore_eos(d.pop("ignore_eos", UNSET))

        def _parse_prompt_lookup(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        prompt_lookup = _parse_prompt_lookup(d.pop("prompt_lookup", UNSET))

        def _parse_logit_bias(data: object) -> LogitBias | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                logit_bias_type_0 = LogitBias.from_dict(data)

                return logit_bias_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(LogitBias | None | Unset, data)

        logit_bias = _parse_logit_bias(d.pop("logit_bias", UNSET))

        def _parse_n(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        n = _parse_n(d.pop("n", UNSET))

        def _parse_response_format(data: object) -> None | ResponseFormat | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                response_format_type_0 = ResponseFormat.from_dict(data)

                return response_format_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | ResponseFormat | Unset, data)

        response_format = _parse_response_format(d.pop("response_format", UNSET))

        def _parse_structured_outputs(data: object) -> None | StructuredOutputs | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                structured_outputs_type_0 = StructuredOutputs.from_dict(data)

                return structured_outputs_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | StructuredOutputs | Unset, data)

        structured_outputs = _parse_structured_outputs(d.pop("structured_outputs", UNSET))

        def _parse_guided_json(data: object) -> JsonSchema | None | str | Unset:
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

        guided_json = _parse_guided_json(d.pop("guided_json", UNSET))

        def _parse_guided_regex(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        guided_regex = _parse_guided_regex(d.pop("guided_regex", UNSET))

        def _parse_guided_choice(data: object) -> list[str] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                guided_choice_type_0 = cast(list[str], data)

                return guided_choice_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None | Unset, data)

        guided_choice = _parse_guided_choice(d.pop("guided_choice", UNSET))

        def _parse_guided_grammar(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        guided_grammar = _parse_guided_grammar(d.pop("guided_grammar", UNSET))

        def _parse_stream(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        stream = _parse_stream(d.pop("stream", UNSET))

        def _parse_stream_options(data: object) -> None | StreamOptions | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                stream_options_type_0 = StreamOptions.from_dict(data)

                return stream_options_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | StreamOptions | Unset, data)

        stream_options = _parse_stream_options(d.pop("stream_options", UNSET))

        def _parse_user(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        user = _parse_user(d.pop("user", UNSET))

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

        def _parse_parallel_tool_calls(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        parallel_tool_calls = _parse_parallel_tool_calls(d.pop("parallel_tool_calls", UNSET))

        def _parse_citations(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        citations = _parse_citations(d.pop("citations", UNSET))

        def _parse_auto_blocks(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        auto_blocks = _parse_auto_blocks(d.pop("auto_blocks", UNSET))

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

        def _parse_prediction(data: object) -> None | Prediction | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                prediction_type_0 = Prediction.from_dict(data)

                return prediction_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Prediction | Unset, data)

        prediction = _parse_prediction(d.pop("prediction", UNSET))

        def _parse_max_completion_tokens(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        max_completion_tokens = _parse_max_completion_tokens(d.pop("max_completion_tokens", UNSET))

        def _parse_logprobs(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        logprobs = _parse_logprobs(d.pop("logprobs", UNSET))

        def _parse_top_logprobs(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        top_logprobs = _parse_top_logprobs(d.pop("top_logprobs", UNSET))

        chat_completion_request = cls(
            messages=messages,
            model=model,
            attention=attention,
            cache_salt=cache_salt,
            max_tokens=max_tokens,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            min_p=min_p,
            presence_penalty=presence_penalty,
            frequency_penalty=frequency_penalty,
            repetition_penalty=repetition_penalty,
            seed=seed,
            stop=stop,
            stop_token_ids=stop_token_ids,
            ignore_eos=ignore_eos,
            prompt_lookup=prompt_lookup,
            logit_bias=logit_bias,
            n=n,
            response_format=response_format,
            structured_outputs=structured_outputs,
            guided_json=guided_json,
            guided_regex=guided_regex,
            guided_choice=guided_choice,
            guided_grammar=guided_grammar,
            stream=stream,
            stream_options=stream_options,
            user=user,
            documents=documents,
            segmentation=segmentation,
            tools=tools,
            tool_choice=tool_choice,
            parallel_tool_calls=parallel_tool_calls,
            citations=citations,
            auto_blocks=auto_blocks,
            chat_template_kwargs=chat_template_kwargs,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=continue_final_message,
            prediction=prediction,
            max_completion_tokens=max_completion_tokens,
            logprobs=logprobs,
            top_logprobs=top_logprobs,
        )

        chat_completion_request.additional_properties = d
        return chat_completion_request

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
