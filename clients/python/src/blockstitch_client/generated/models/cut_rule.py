from typing import Literal

CutRule = Literal["lengths", "seams"]

CUT_RULE_VALUES: set[CutRule] = {
    "lengths",
    "seams",
}


def check_cut_rule(value: str) -> CutRule:
    if value in CUT_RULE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {CUT_RULE_VALUES!r}")
