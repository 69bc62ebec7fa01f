from typing import Literal

Segmenter = Literal["auto", "embedding", "fixed", "paragraphs", "recursive", "semantic", "structural", "texttiling"]

SEGMENTER_VALUES: set[Segmenter] = {
    "auto",
    "embedding",
    "fixed",
    "paragraphs",
    "recursive",
    "semantic",
    "structural",
    "texttiling",
}


def check_segmenter(value: str) -> Segmenter:
    if value in SEGMENTER_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {SEGMENTER_VALUES!r}")
