from typing import Literal

RepairChoice = Literal["deviation", "first"]

REPAIR_CHOICE_VALUES: set[RepairChoice] = {
    "deviation",
    "first",
}


def check_repair_choice(value: str) -> RepairChoice:
    if value in REPAIR_CHOICE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {REPAIR_CHOICE_VALUES!r}")
