from typing import Literal

TierName = Literal["host", "lmdb", "pool", "redis"]

TIER_NAME_VALUES: set[TierName] = {
    "host",
    "lmdb",
    "pool",
    "redis",
}


def check_tier_name(value: str) -> TierName:
    if value in TIER_NAME_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {TIER_NAME_VALUES!r}")
