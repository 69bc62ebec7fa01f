from typing import Literal

KvType = Literal["bfloat16", "float16", "float32", "int8"]

KV_TYPE_VALUES: set[KvType] = {
    "bfloat16",
    "float16",
    "float32",
    "int8",
}


def check_kv_type(value: str) -> KvType:
    if value in KV_TYPE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {KV_TYPE_VALUES!r}")
