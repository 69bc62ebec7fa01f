"""Reference works and corpora with markup of their own: dictd dictionaries, the tagged Brown corpus, fortune files, plain paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Pronunciation, part of speech, field and source stand in each entry's first and last lines. They would show where it begins and ends.
_ENTRY_HEAD = re.compile(
    r"\A(?:\s*(?:/[^/\n]{1,60}/,?|(?:n|v|vi|vt|adj|adv|interj|pl|quant|prov|abbrev|excl|prep|suff|pref)\.(?:,? ?(?:vi|vt|n|v|adj|pl)\.)*,?|<[^>\n]{1,60}>|1\.|\[[^\]]{1,120}\])(?=\s))+\s*"
)
_ENTRY_END = re.compile(r"(?:\s*(?:\(\d{4}-\d\d-\d\d\)|\[[^\]\n]{1,60}\]))+\s*\Z")


def dictd_entries(text: str) -> Iterator[tuple[str, str]]:
    """(headword, article) of a dictd database in which headwords stand at the margin and articles are indented."""
    for block in re.split(r"\n(?=\S)", text):
        head, _, body = block.partition("\n")
        if body.strip() and not head.startswith("00-database"):
            lines = [line.strip() for line in body.split("\n")]
            article = re.sub(r"[{}]", "", re.sub(r"\n{3,}", "\n\n", "\n".join(lines))).strip("\n")
            article = _ENTRY_END.sub("", _ENTRY_HEAD.sub("", article))
            yield head.strip(), article


_TOKEN = re.compile(r"(\S+)/([^\s/]+)")
_NO_SPACE_BEFORE = {".", ",", ";", ":", "?", "!", "''", ")", "]", "%"}


def brown_paragraphs(text: str) -> Iterator[tuple[bool, str]]:
    """(is a headline, text) for each paragraph of a file of the tagged Brown corpus. Tags are removed, spacing is made ordinary."""
    for paragraph in re.split(r"\n\s*\n\s*\n|\n\t", text):
        words, headline = [], 0
        for word, tag in _TOKEN.findall(paragraph):
            words.append(word)
            headline += tag.endswith("-hl") or "-hl-" in tag
        if words:
            yield headline * 2 > len(words), _untokenize(words)


def _untokenize(words: list[str]) -> str:
    out = ""
    glue = True
    for word in words:
        if word in ("``", "(", "["):
            out += ("" if glue else " ") + ('"' if word == "``" else word)
            glue = True
            continue
        text = '"' if word == "''" else word
        out += text if glue or word in _NO_SPACE_BEFORE else f" {text}"
        glue = False
    return re.sub(r"\s?--\s?", " -- ", out).strip()


def fortunes(text: str) -> list[str]:
    """The cookies of a fortune file. A line with a percent sign parts them."""
    return [each.strip("\n") for each in re.split(r"^%\s*$", text, flags=re.M) if each.strip()]


def paragraphs(text: str) -> list[str]:
    return [each.strip() for each in re.split(r"\n\s*\n", text.replace("\r\n", "\n")) if each.strip()]
