from typing import Literal

ResponsePartType = Literal["input_text", "output_text", "text"]

RESPONSE_PART_TYPE_VALUES: set[ResponsePartType] = {
    "input_text",
    "output_text",
    "text",
}


def check_response_part_type(value: str) -> ResponsePartType:
    if value in RESPONSE_PART_TYPE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {RESPONSE_PART_TYPE_VALUES!r}")
