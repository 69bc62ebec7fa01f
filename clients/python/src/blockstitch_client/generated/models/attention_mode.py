from typing import Literal

AttentionMode = Literal["block", "full"]

ATTENTION_MODE_VALUES: set[AttentionMode] = {
    "block",
    "full",
}


def check_attention_mode(value: str) -> AttentionMode:
    if value in ATTENTION_MODE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {ATTENTION_MODE_VALUES!r}")
