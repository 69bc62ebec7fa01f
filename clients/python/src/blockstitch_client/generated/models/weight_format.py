from typing import Literal

WeightFormat = Literal["fp32", "int4", "int8", "native"]

WEIGHT_FORMAT_VALUES: set[WeightFormat] = {
    "fp32",
    "int4",
    "int8",
    "native",
}


def check_weight_format(value: str) -> WeightFormat:
    if value in WEIGHT_FORMAT_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {WEIGHT_FORMAT_VALUES!r}")
