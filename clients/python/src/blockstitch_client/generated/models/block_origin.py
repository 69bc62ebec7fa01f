from typing import Literal

BlockOrigin = Literal["computed", "host", "lmdb", "pool", "redis"]

BLOCK_ORIGIN_VALUES: set[BlockOrigin] = {
    "computed",
    "host",
    "lmdb",
    "pool",
    "redis",
}


def check_block_origin(value: str) -> BlockOrigin:
    if value in BLOCK_ORIGIN_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {BLOCK_ORIGIN_VALUES!r}")
