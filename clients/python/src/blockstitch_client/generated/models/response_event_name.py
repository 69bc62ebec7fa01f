from typing import Literal

ResponseEventName = Literal[
    "response.completed",
    "response.content_part.added",
    "response.content_part.done",
    "response.created",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.in_progress",
    "response.incomplete",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_text.delta",
    "response.output_text.done",
]

RESPONSE_EVENT_NAME_VALUES: set[ResponseEventName] = {
    "response.completed",
    "response.content_part.added",
    "response.content_part.done",
    "response.created",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.in_progress",
    "response.incomplete",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_text.delta",
    "response.output_text.done",
}


def check_response_event_name(value: str) -> ResponseEventName:
    if value in RESPONSE_EVENT_NAME_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {RESPONSE_EVENT_NAME_VALUES!r}")
