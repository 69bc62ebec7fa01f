"""Source code by tree-sitter: top-level definitions with the comments above them, and the members of large types as finer pieces."""

from __future__ import annotations

import importlib
import re
from functools import cache

from ..document import FINEST, SECTION, Piece

# language: (module, function that gives the grammar, node types that hold members)
LANGUAGES: dict[str, tuple[str, str, frozenset[str]]] = {
    "python": ("tree_sitter_python", "language", frozenset({"class_definition"})),
    "javascript": ("tree_sitter_javascript", "language", frozenset({"class_declaration"})),
    "typescript": ("tree_sitter_typescript", "language_typescript", frozenset({"class_declaration", "interface_declaration", "internal_module"})),
    "java": ("tree_sitter_java", "language", frozenset({"class_declaration", "interface_declaration", "enum_declaration"})),
    "go": ("tree_sitter_go", "language", frozenset()),
    "rust": ("tree_sitter_rust", "language", frozenset({"impl_item", "trait_item", "mod_item"})),
    "c": ("tree_sitter_c", "language", frozenset()),
    "cpp": ("tree_sitter_cpp", "language", frozenset({"class_specifier", "struct_specifier", "namespace_definition"})),
    "ruby": ("tree_sitter_ruby", "language", frozenset({"class", "module"})),
    "bash": ("tree_sitter_bash", "language", frozenset()),
    "c-sharp": ("tree_sitter_c_sharp", "language", frozenset({"class_declaration", "namespace_declaration", "interface_declaration"})),
    "php": ("tree_sitter_php", "language_php", frozenset({"class_declaration", "trait_declaration", "interface_declaration"})),
}
EXTENSIONS = {
    ".py": "python",
    ".js": "javascript",
    ".mjs": "javascript",
    ".cjs": "javascript",
    ".ts": "typescript",
    ".java": "java",
    ".go": "go",
    ".rs": "rust",
    ".c": "c",
    ".h": "c",
    ".cc": "cpp",
    ".cpp": "cpp",
    ".hpp": "cpp",
    ".cxx": "cpp",
    ".rb": "ruby",
    ".sh": "bash",
    ".cs": "c-sharp",
    ".php": "php",
}
_COMMENTS = frozenset({"comment", "line_comment", "block_comment", "attribute_item", "decorator", "attribute_list"})
# Wrappers that stand for what they hold.
_WRAPPERS = frozenset({"export_statement", "decorated_definition", "declaration", "template_declaration"})
# C and C++ headers keep everything inside an include guard.
_TRANSPARENT = frozenset({"preproc_ifdef", "preproc_if", "linkage_specification", "declaration_list"})
LARGE_TYPE_CHARACTERS = 1_500
SMALL_CHARACTERS = 160


@cache
def _parser(language: str):
    from tree_sitter import Language, Parser

    module, function, _ = LANGUAGES[language]
    return Parser(Language(getattr(importlib.import_module(module), function)()))


def code_pieces(text: str, language: str) -> list[Piece]:
    """Pieces cover the file from its first code line. Runs of small definitions (imports, constants) share one piece.

    @raises KeyError for a language not in LANGUAGES; ModuleNotFoundError where its grammar is not installed
    """
    data = text.encode("utf-8", "replace")
    holders = LANGUAGES[language][2]
    starts: list[tuple[int, int]] = []
    _collect(_parser(language).parse(data).root_node, holders, SECTION, starts)
    if not starts:
        return []
    starts = _line_starts(data, starts)
    pieces: list[Piece] = []
    ends = [at for at, _ in starts[1:]] + [len(data)]
    for (at, strength), end in zip(starts, ends, strict=True):
        body = data[at:end].decode("utf-8", "replace").strip("\n").rstrip()
        if not body.strip():
            continue
        if pieces and (len(body) < SMALL_CHARACTERS and len(pieces[-1].text) < 4 * SMALL_CHARACTERS and strength <= SECTION):
            last = pieces[-1]
            pieces[-1] = Piece(f"{last.text}\n{body}", last.strength)
        else:
            pieces.append(Piece(body, strength))
    return pieces


def _collect(node, holders: frozenset[str], strength: int, starts: list[tuple[int, int]]) -> None:
    """Appends (byte offset, strength) for each definition. Its leading comments and decorators belong to it."""
    pending: int | None = None
    previous_end_row = -2
    for child in node.children:
        if not child.is_named:
            continue
        if child.type in _COMMENTS:
            if pending is None or child.start_point[0] > previous_end_row + 1:
                pending = child.start_byte
            previous_end_row = child.end_point[0]
            continue
        start = child.start_byte
        if pending is not None and child.start_point[0] <= previous_end_row + 1:
            start = pending
        pending = None
        if child.type in _TRANSPARENT:
            _collect(child, holders, strength, starts)
            previous_end_row = child.end_point[0]
            continue
        starts.append((start, strength))
        inner = child
        while inner.type in _WRAPPERS and inner.named_child_count:
            inner = next((each for each in reversed(inner.named_children) if each.type not in _COMMENTS), inner.named_children[-1])
        if inner.type in holders and inner.end_byte - inner.start_byte > LARGE_TYPE_CHARACTERS and strength > FINEST:
            block = inner.child_by_field_name("body")
            if block is not None:
                members: list[tuple[int, int]] = []
                _collect(block, holders, strength - 1, members)
                # The first member stays with the head of its type.
                starts.extend(members[1:])
        previous_end_row = child.end_point[0]


def _line_starts(data: bytes, starts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Moves each start back to its line's beginning. Where two are on one line the stronger stays."""
    out: dict[int, int] = {}
    for at, strength in sorted(starts):
        line = data.rfind(b"\n", 0, at) + 1
        if data[line:at].strip():
            continue
        out[line] = max(out.get(line, 0), strength)
    return sorted(out.items())


_LICENSE_HEAD = re.compile(r"copyright|licen[sc]e|all rights reserved|spdx", re.I)


def drop_license_head(text: str) -> str:
    """Removes a leading licence comment. It would make files of one project near-duplicates, and show where each file starts."""
    match = re.match(r"\s*(?:/\*.*?\*/|(?:(?://|#|--)[^\n]*\n)+)", text, re.S)
    if match and _LICENSE_HEAD.search(match.group(0)):
        return text[match.end() :].lstrip("\n")
    return text
