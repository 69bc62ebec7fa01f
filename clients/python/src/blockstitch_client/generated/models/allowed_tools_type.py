from typing import Literal

AllowedToolsType = Literal["allowed_tools"]

ALLOWED_TOOLS_TYPE_VALUES: set[AllowedToolsType] = {
    "allowed_tools",
}


def check_allowed_tools_type(value: str) -> AllowedToolsType:
    if value in ALLOWED_TOOLS_TYPE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {ALLOWED_TOOLS_TYPE_VALUES!r}")
