"""Contains all the data models used in inputs/outputs"""

from .allowed_tools import AllowedTools
from .allowed_tools_choice import AllowedToolsChoice
from .allowed_tools_mode import AllowedToolsMode
from .allowed_tools_type import AllowedToolsType
from .assistant_message import AssistantMessage
from .attention_mode import AttentionMode
from .attention_options import AttentionOptions
from .block import Block
from .block_deleted import BlockDeleted
from .block_kind import BlockKind
from .block_origin import BlockOrigin
from .block_report import BlockReport
from .breaker_state import BreakerState
from .cache_flushed import CacheFlushed
from .cache_statistics import CacheStatistics
from .cache_statistics_hit_tokens import CacheStatisticsHitTokens
from .chat_choice import ChatChoice
from .chat_chunk_choice import ChatChunkChoice
from .chat_completion import ChatCompletion
from .chat_completion_chunk import ChatCompletionChunk
from .chat_completion_chunk_event import ChatCompletionChunkEvent
from .chat_completion_request import ChatCompletionRequest
from .chat_delta import ChatDelta
from .chat_finish_reason import ChatFinishReason
from .chat_logprobs import ChatLogprobs
from .chat_message import ChatMessage
from .chat_role import ChatRole
from .chat_template_kwargs import ChatTemplateKwargs
from .citation import Citation
from .cited_block import CitedBlock
from .completion import Completion
from .completion_choice import CompletionChoice
from .completion_chunk import CompletionChunk
from .completion_chunk_event import CompletionChunkEvent
from .completion_logprobs import CompletionLogprobs
from .completion_logprobs_top_logprobs_item import CompletionLogprobsTopLogprobsItem
from .completion_request import CompletionRequest
from .completion_tokens_details import CompletionTokensDetails
from .cut_message import CutMessage
from .cut_rule import CutRule
from .detokenize_request import DetokenizeRequest
from .detokenize_response import DetokenizeResponse
from .document import Document
from .document_block import DocumentBlock
from .document_cost import DocumentCost
from .document_deleted import DocumentDeleted
from .document_input import DocumentInput
from .document_list import DocumentList
from .document_metadata import DocumentMetadata
from .document_request import DocumentRequest
from .document_request_metadata_type_0 import DocumentRequestMetadataType0
from .document_source import DocumentSource
from .done_event import DoneEvent
from .error_detail import ErrorDetail
from .error_event import ErrorEvent
from .error_response import ErrorResponse
from .error_type import ErrorType
from .finish_reason import FinishReason
from .function_call import FunctionCall
from .function_call_delta import FunctionCallDelta
from .function_call_input import FunctionCallInput
from .function_call_input_arguments_type_1 import FunctionCallInputArgumentsType1
from .function_definition import FunctionDefinition
from .function_definition_parameters_type_0 import FunctionDefinitionParametersType0
from .get_open_api_response_200 import GetOpenApiResponse200
from .health import Health
from .incomplete_details import IncompleteDetails
from .job import Job
from .job_change_event import JobChangeEvent
from .job_error import JobError
from .job_event_name import JobEventName
from .job_status import JobStatus
from .json_schema import JsonSchema
from .json_schema_format import JsonSchemaFormat
from .kv_type import KvType
from .logit_bias import LogitBias
from .message_source import MessageSource
from .model import Model
from .model_details import ModelDetails
from .model_list import ModelList
from .named_tool import NamedTool
from .named_tool_function import NamedToolFunction
from .output_tokens_details import OutputTokensDetails
from .pool_statistics import PoolStatistics
from .prediction import Prediction
from .prediction_type import PredictionType
from .prompt_tokens_details import PromptTokensDetails
from .ready import Ready
from .refusal_part import RefusalPart
from .repair import Repair
from .repair_choice import RepairChoice
from .report import Report
from .response_allowed_tools import ResponseAllowedTools
from .response_change import ResponseChange
from .response_change_event import ResponseChangeEvent
from .response_event_name import ResponseEventName
from .response_format import ResponseFormat
from .response_format_type import ResponseFormatType
from .response_function_call import ResponseFunctionCall
from .response_function_call_input import ResponseFunctionCallInput
from .response_function_call_output import ResponseFunctionCallOutput
from .response_function_tool import ResponseFunctionTool
from .response_function_tool_parameters_type_0 import (
    ResponseFunctionToolParametersType0,
)
from .response_input_message import ResponseInputMessage
from .response_input_part import ResponseInputPart
from .response_message import ResponseMessage
from .response_named_tool import ResponseNamedTool
from .response_object import ResponseObject
from .response_object_metadata import ResponseObjectMetadata
from .response_output_text import ResponseOutputText
from .response_output_text_annotations_item import ResponseOutputTextAnnotationsItem
from .response_part_type import ResponsePartType
from .response_request import ResponseRequest
from .response_request_metadata_type_0 import ResponseRequestMetadataType0
from .response_role import ResponseRole
from .response_shown_tool import ResponseShownTool
from .response_shown_tool_parameters_type_0 import ResponseShownToolParametersType0
from .response_status import ResponseStatus
from .response_text_format import ResponseTextFormat
from .response_text_format_schema_type_0 import ResponseTextFormatSchemaType0
from .response_text_options import ResponseTextOptions
from .response_text_settings import ResponseTextSettings
from .response_text_settings_format import ResponseTextSettingsFormat
from .response_usage import ResponseUsage
from .segment import Segment
from .segment_list import SegmentList
from .segment_request import SegmentRequest
from .segmentation import Segmentation
from .segmenter import Segmenter
from .store_state import StoreState
from .store_statistics import StoreStatistics
from .stream_options import StreamOptions
from .structured_outputs import StructuredOutputs
from .tenant_usage import TenantUsage
from .text_part import TextPart
from .tier_name import TierName
from .tier_statistics import TierStatistics
from .timings import Timings
from .token_logprob import TokenLogprob
from .tokenize_request import TokenizeRequest
from .tokenize_response import TokenizeResponse
from .tool import Tool
from .tool_call import ToolCall
from .tool_call_delta import ToolCallDelta
from .tool_call_input import ToolCallInput
from .tool_choice_mode import ToolChoiceMode
from .tool_type import ToolType
from .top_logprob import TopLogprob
from .usage import Usage
from .weight_format import WeightFormat

__all__ = (
    "AllowedTools",
    "AllowedToolsChoice",
    "AllowedToolsMode",
    "AllowedToolsType",
    "AssistantMessage",
    "AttentionMode",
    "AttentionOptions",
    "Block",
    "BlockDeleted",
    "BlockKind",
    "BlockOrigin",
    "BlockReport",
    "BreakerState",
    "CacheFlushed",
    "CacheStatistics",
    "CacheStatisticsHitTokens",
    "ChatChoice",
    "ChatChunkChoice",
    "ChatCompletion",
    "ChatCompletionChunk",
    "ChatCompletionChunkEvent",
    "ChatCompletionRequest",
    "ChatDelta",
    "ChatFinishReason",
    "ChatLogprobs",
    "ChatMessage",
    "ChatRole",
    "ChatTemplateKwargs",
    "Citation",
    "CitedBlock",
    "Completion",
    "CompletionChoice",
    "CompletionChunk",
    "CompletionChunkEvent",
    "CompletionLogprobs",
    "CompletionLogprobsTopLogprobsItem",
    "CompletionRequest",
    "CompletionTokensDetails",
    "CutMessage",
    "CutRule",
    "DetokenizeRequest",
    "DetokenizeResponse",
    "Document",
    "DocumentBlock",
    "DocumentCost",
    "DocumentDeleted",
    "DocumentInput",
    "DocumentList",
    "DocumentMetadata",
    "DocumentRequest",
    "DocumentRequestMetadataType0",
    "DocumentSource",
    "DoneEvent",
    "ErrorDetail",
    "ErrorEvent",
    "ErrorResponse",
    "ErrorType",
    "FinishReason",
    "FunctionCall",
    "FunctionCallDelta",
    "FunctionCallInput",
    "FunctionCallInputArgumentsType1",
    "FunctionDefinition",
    "FunctionDefinitionParametersType0",
    "GetOpenApiResponse200",
    "Health",
    "IncompleteDetails",
    "Job",
    "JobChangeEvent",
    "JobError",
    "JobEventName",
    "JobStatus",
    "JsonSchema",
    "JsonSchemaFormat",
    "KvType",
    "LogitBias",
    "MessageSource",
    "Model",
    "ModelDetails",
    "ModelList",
    "NamedTool",
    "NamedToolFunction",
    "OutputTokensDetails",
    "PoolStatistics",
    "Prediction",
    "PredictionType",
    "PromptTokensDetails",
    "Ready",
    "RefusalPart",
    "Repair",
    "RepairChoice",
    "Report",
    "ResponseAllowedTools",
    "ResponseChange",
    "ResponseChangeEvent",
    "ResponseEventName",
    "ResponseFormat",
    "ResponseFormatType",
    "ResponseFunctionCall",
    "ResponseFunctionCallInput",
    "ResponseFunctionCallOutput",
    "ResponseFunctionTool",
    "ResponseFunctionToolParametersType0",
    "ResponseInputMessage",
    "ResponseInputPart",
    "ResponseMessage",
    "ResponseNamedTool",
    "ResponseObject",
    "ResponseObjectMetadata",
    "ResponseOutputText",
    "ResponseOutputTextAnnotationsItem",
    "ResponsePartType",
    "ResponseRequest",
    "ResponseRequestMetadataType0",
    "ResponseRole",
    "ResponseShownTool",
    "ResponseShownToolParametersType0",
    "ResponseStatus",
    "ResponseTextFormat",
    "ResponseTextFormatSchemaType0",
    "ResponseTextOptions",
    "ResponseTextSettings",
    "ResponseTextSettingsFormat",
    "ResponseUsage",
    "Segment",
    "Segmentation",
    "Segmenter",
    "SegmentList",
    "SegmentRequest",
    "StoreState",
    "StoreStatistics",
    "StreamOptions",
    "StructuredOutputs",
    "TenantUsage",
    "TextPart",
    "TierName",
    "TierStatistics",
    "Timings",
    "TokenizeRequest",
    "TokenizeResponse",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolCallInput",
    "ToolChoiceMode",
    "ToolType",
    "TopLogprob",
    "Usage",
    "WeightFormat",
)
