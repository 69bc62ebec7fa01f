"""Manual pages (man and mdoc macros) by .SH and .SS, without the markup. It knows enough of roff for reading, not for printing."""

from __future__ import annotations

import re

from ..document import Section

_ESCAPES = [
    (re.compile(r"\\f(\[[^\]]*\]|\([A-Za-z]{2}|.)"), ""),
    (re.compile(r"\\s[-+]?\d|\\[&/,|^%:]|\\[mM]\[[^\]]*\]|\\h'[^']*'|\\k."), ""),
    (re.compile(r"\\\*?\((?:lq|Lq|rq|Rq|dq)|\\\*?\[(?:lq|rq|dq)\]"), '"'),
    (re.compile(r"\\\((?:aq|cq|oq)|\\\[(?:aq|cq|oq)\]"), "'"),
    (re.compile(r"\\\((?:em|en|hy)|\\\[(?:em|en|hy)\]"), "-"),
    (re.compile(r"\\\((?:bu)|\\\[bu\]"), "*"),
    (re.compile(r"\\(?:\(..|\[[^\]]*\]|\*\(..|\*\[[^\]]*\]|\*.)"), ""),
    (re.compile(r"\\-"), "-"),
    (re.compile(r"\\[ 0~]"), " "),
    (re.compile(r"\\e|\\\\"), r"\\"),
    (re.compile(r'\\".*'), ""),
]
_MDOC_NOISE = {"Pp", "Bl", "El", "Bd", "Ed", "Os", "Dd", "Dt", "Sm", "Bk", "Ek", "Lp"}


def man_sections(text: str) -> list[Section]:
    """@returns NAME and its kind at depth 1, subsections at depth 2. Lists become paragraphs."""
    sections: list[Section] = []
    depth, title, body = 0, "", []
    skipping = False
    for line in text.split("\n"):
        if skipping:
            skipping = line.strip() not in ("..", ".endif", ".TE", ".EE?")
            continue
        if not line.startswith((".", "'")):
            body.append(_plain(line))
            continue
        name, _, rest = line[1:].lstrip().partition(" ")
        rest = rest.strip()
        if name in ("SH", "Sh", "SS", "Ss"):
            sections.append(Section(depth, title, _tidy(body)))
            depth, title, body = (1 if name in ("SH", "Sh") else 2), _plain(rest.strip('"')), []
        elif name in ("de", "ig", "TS", "de1"):
            skipping = True
        elif name in ("PP", "P", "LP", "IP", "TP", "Pp", "HP", "TQ", "sp", "It", "nf", "fi", "RS", "RE", "EX", "EE", "br"):
            body.append("" if name not in ("br", "RS", "RE") else None)
            if name in ("IP", "It") and rest and not rest.startswith(("\\(bu", "*", "\\[bu")):
                body.append(_plain(_words(rest)))
        elif name in ("B", "I", "BR", "RB", "BI", "IB", "IR", "RI", "SM", "SB", "R", "UR", "MT"):
            joined = "".join(_arguments(rest)) if len(name) == 2 and name not in ("SM", "SB", "UR", "MT") else _words(rest)
            body.append(_plain(joined))
        elif name[:1].isupper() and name[1:2].islower() and name not in _MDOC_NOISE:
            words = _plain(_words(rest))
            body.append(("-" + words) if name == "Fl" and words else words)
    sections.append(Section(depth, title, _tidy(body)))
    return [each for each in sections if each.title or each.body.strip()]


def _arguments(rest: str) -> list[str]:
    return [quoted or bare for quoted, bare in re.findall(r'"((?:[^"]|"")*)"|(\S+)', rest)]


def _words(rest: str) -> str:
    return " ".join(_arguments(rest))


def _plain(text: str) -> str:
    for pattern, replacement in _ESCAPES:
        text = pattern.sub(replacement, text)
    return text.rstrip()


def _tidy(lines: list[str | None]) -> str:
    """Joins the source lines of a paragraph. None is a line break, an empty line is a paragraph break."""
    out: list[str] = []
    for line in lines:
        if line is None:
            out.append("")
        elif not line:
            if out and out[-1]:
                out.append("")
            out.append("")
        elif line.startswith((" ", "\t")) or not out:
            out.append(line)
        else:
            out[-1] = f"{out[-1]} {line}".strip()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip("\n")
