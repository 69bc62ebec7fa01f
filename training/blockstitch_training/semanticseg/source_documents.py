"""Reads configured files and folders into source documents: which adapter, which group, which licence. It streams them in sorted order."""

from __future__ import annotations

import glob
import gzip
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .adapters import code, conversation, mail, reference
from .adapters.html_text import html_sections
from .adapters.marked_text import (
    book_sections,
    latex_sections,
    legal_sections,
    markdown_sections,
    news_sections,
    pod_sections,
    question_sections,
    rest_sections,
)
from .adapters.rfc import rfc_sections
from .adapters.roff import man_sections
from .build_settings import SourceSettings
from .document import CATEGORIES, CHAPTER, FINEST, SECTION, Piece, Section, SourceDocument, pieces_from_sections

LARGEST_FILE_BYTES = 8_000_000
UNIT = "\x1f"  # between speaker and text in the pieces of conversations


@dataclass(frozen=True)
class SourceFile:
    """path: where it was read, `archive!member` inside a zip. name: the path less what differs from machine to machine. text: decoded."""

    path: str
    name: str
    text: str


def read_documents(source: SourceSettings) -> Iterator[SourceDocument]:
    """Documents of one configured source. A file that the adapter cannot read is left out and never fatal.

    @raises ValueError for an unknown adapter or category
    """
    if source.category not in CATEGORIES:
        raise ValueError(f"source {source.name}: unknown category {source.category}; one of {', '.join(CATEGORIES)}")
    if source.adapter not in ADAPTERS:
        raise ValueError(f"source {source.name}: unknown adapter {source.adapter}; one of {', '.join(sorted(ADAPTERS))}")
    for key, group, kind, pieces in ADAPTERS[source.adapter](source):
        if sum(len(piece.text) for piece in pieces) < source.min_characters:
            continue
        yield SourceDocument(
            id=f"{source.name}/{key}",
            group=f"{source.name}/{group}",
            category=source.category,
            source=source.name,
            license=source.license,
            provenance=f"{source.provenance}: {key}" if source.provenance else key,
            kind=kind,
            pieces=tuple(pieces),
        )


def source_files(source: SourceSettings) -> Iterator[SourceFile]:
    """Files that match, decompressed and decoded. `archive.zip!pattern` reads inside a zip. The same path comes once only."""
    count = 0
    seen: set[str] = set()
    for pattern in source.files:
        archive, _, inner = pattern.partition("!")
        for path in sorted(glob.glob(str(Path(archive).expanduser()), recursive=True)):
            for name, data in _zip_members(path, inner) if inner else [(path, None)]:
                if any(re.search(each, name) for each in source.exclude):
                    continue
                if data is None:
                    real = str(Path(path).resolve())
                    if real in seen or not Path(real).is_file() or Path(real).stat().st_size > LARGEST_FILE_BYTES * (8 if source.large else 1):
                        continue
                    seen.add(real)
                    try:
                        data = Path(real).read_bytes()
                        if name.endswith((".gz", ".dz")):
                            data = gzip.decompress(data)
                    except (OSError, EOFError, gzip.BadGzipFile):
                        continue
                count += 1
                if source.max_files and count > source.max_files:
                    return
                yield SourceFile(name, _portable(name, source), decode(data))


def _portable(path: str, source: SourceSettings) -> str:
    for name, root in source.roots:
        if path.startswith(f"{root.rstrip('/')}/"):
            return f"{{{name}}}{path[len(root.rstrip('/')) :]}"
    return path


def _zip_members(path: str, pattern: str) -> Iterator[tuple[str, bytes]]:
    matcher = re.compile(pattern)
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if matcher.search(name):
                yield f"{Path(path).name}!{name}", archive.read(name)


def decode(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\x00", "").removeprefix("\ufeff")


def group_of(source: SourceSettings, name: str) -> str:
    """The group by `file`, `source`, `folder:N` (the last N folders above the file) or `part:N` (the first N parts below the pattern's fixed root)."""
    kind, _, count = source.group.partition(":")
    if kind == "source":
        return source.name
    path = name.rpartition("!")[2]
    if kind == "folder":
        return "/".join(Path(path).parts[-1 - int(count) : -1])
    if kind == "part":
        roots = [each.partition("!")[0].split("*")[0].rstrip("/") for each in source.files]
        root = max((each for each in roots if name.startswith(each)), key=len, default="")
        rest = name.rpartition("!")[2] if "!" in name else name[len(root) :]
        return "/".join(rest.strip("/").split("/")[: int(count)])
    return re.sub(r"\.(gz|html?|txt|md|rst)$", "", Path(path).name)


def _field(text: str, name: str) -> str:
    """A string field of a JSON file, for adapters of plain text whose files are wrapped in JSON."""
    return str(json.loads(text)[name])


Read = tuple[str, str, str, list[Piece] | tuple[Piece, ...]]


def _headed(parse: Callable[[str], list[Section]]) -> Callable[[SourceSettings], Iterator[Read]]:
    """An adapter for one document per file. With works = true it is one document per group, and each file is a chapter."""

    def read(source: SourceSettings) -> Iterator[Read]:
        work: list[Piece] = []
        work_key, work_group = "", None
        for file in source_files(source):
            group = group_of(source, file.path)
            text = _field(file.text, source.json_field) if source.json_field else file.text
            pieces = pieces_from_sections(parse(text), source.min_piece, shift=1 if source.works else 0)
            if not source.works:
                yield file.name, group, "prose", pieces
                continue
            if group != work_group and work:
                yield work_key, str(work_group), "prose", work
                work = []
            if not work:
                work_key, work_group = file.name, group
            work.extend(Piece(each.text, CHAPTER if index == 0 else each.strength, each.title) for index, each in enumerate(pieces))
        if work:
            yield work_key, str(work_group), "prose", work

    return read


def _code(source: SourceSettings) -> Iterator[Read]:
    for file in source_files(source):
        language = source.language or code.EXTENSIONS.get(Path(file.name).suffix)
        if language is None or "\n" not in file.text or max(map(len, file.text.split("\n"))) > 1_000:
            continue
        pieces = code.code_pieces(code.drop_license_head(file.text), language)
        if len(pieces) > 1:
            yield file.name, group_of(source, file.path), "code", pieces


def _dictd(source: SourceSettings) -> Iterator[Read]:
    for file in source_files(source):
        for index, (head, article) in enumerate(reference.dictd_entries(file.text)):
            if len(article) >= source.min_piece:
                yield f"{head[:60]}#{index}", head, "prose", [Piece(article, CHAPTER, head)]


def _brown(source: SourceSettings) -> Iterator[Read]:
    for file in source_files(source):
        sections = [Section(0, "", "")]
        for headline, text in reference.brown_paragraphs(file.text):
            if headline:
                sections.append(Section(1, text, ""))
            else:
                sections[-1] = Section(sections[-1].depth, sections[-1].title, f"{sections[-1].body}\n\n{text}".strip())
        yield Path(file.name).name, Path(file.name).name, "prose", pieces_from_sections(sections, source.min_piece)


def _mail(source: SourceSettings) -> Iterator[Read]:
    messages: list[mail.Message] = []
    for file in source_files(source):
        raws = [json.loads(file.text)["text"]] if file.name.endswith(".json") else mail.split_mbox(file.text)
        for raw in raws:
            message = mail.read_message(re.sub(r"\AFrom [^\n]*\n", "", raw))
            if message is not None and len(message.body) < 30_000:
                messages.append(message)
    for key, thread in mail.threads(messages).items():
        pieces = [
            Piece(each.body, CHAPTER if index == 0 else FINEST, f"{each.sender}{UNIT}{each.subject}{UNIT}{each.date}")
            for index, each in enumerate(thread)
        ]
        yield key[:80] or "no subject", key, "mail", pieces


def _mail_items(source: SourceSettings) -> Iterator[Read]:
    """Each message is a document of one piece, as in feeds and newsletters. `Key: value` lines at its head are removed."""
    for file in source_files(source):
        raw = json.loads(file.text)["text"] if file.name.endswith(".json") else file.text
        message = mail.read_message(re.sub(r"\AFrom [^\n]*\n", "", raw))
        if message is not None:
            body = re.sub(r"\A(?:\s*[A-Z][\w-]+: [^\n]*\n)+", "", message.body).strip()
            yield Path(file.name).stem, Path(file.name).stem, "prose", [Piece(body, CHAPTER, message.subject)]


def _questions(source: SourceSettings) -> Iterator[Read]:
    """FAQ pages. Headings that are questions stay as the first line of their answers, others are ordinary headings."""
    for file in source_files(source):
        parse = html_sections if ".htm" in file.name else markdown_sections if file.name.endswith(".md") else pod_sections
        sections = [
            Section(each.depth, each.title, f"{each.title}\n{each.body}" if each.title.endswith("?") else each.body) for each in parse(file.text)
        ]
        yield file.name, group_of(source, file.path), "prose", pieces_from_sections(sections, source.min_piece)


def _turns_piece(turns: list[conversation.Turn] | tuple[conversation.Turn, ...], strength: int, label: str = "") -> Piece:
    return Piece("\n".join(f"{turn.speaker}{UNIT}{' '.join(turn.text.split())}" for turn in turns), strength, label)


def _conversation(source: SourceSettings) -> Iterator[Read]:
    for file in source_files(source):
        if file.name.endswith(".jsonl"):
            for key, topics in conversation.read_jsonl(file.text):
                yield f"{file.name}#{key}", key, "turns", [_turns_piece(each.turns, each.strength, each.label) for each in topics]
        else:
            topics = conversation.read_log(file.text)
            yield file.name, group_of(source, file.path), "turns", [_turns_piece(each.turns, SECTION, each.label) for each in topics]


def _message_threads(source: SourceSettings) -> Iterator[Read]:
    for file in source_files(source):
        for key, turns in conversation.read_message_threads(file.text):
            if len(turns) >= 4:
                yield key, key, "turns", [_turns_piece(turns, CHAPTER)]


def _paragraphs(source: SourceSettings) -> Iterator[Read]:
    """Text without structure of its own: one piece per file, which composition takes excerpts of."""
    for file in source_files(source):
        yield file.name, group_of(source, file.path), "prose", [Piece("\n\n".join(reference.paragraphs(file.text)), CHAPTER)]


def _passages(source: SourceSettings) -> Iterator[Read]:
    """JSONL rows with `documents: [{title, text}]`. Each passage is a document of its own, grouped by title."""
    for file in source_files(source):
        for number, line in enumerate(file.text.splitlines()):
            for index, passage in enumerate(json.loads(line)["documents"]):
                yield f"{number}.{index}", passage["title"], "prose", [Piece(passage["text"], CHAPTER, passage["title"])]


ADAPTERS: dict[str, Callable[[SourceSettings], Iterator[Read]]] = {
    "markdown": _headed(markdown_sections),
    "rest": _headed(rest_sections),
    "latex": _headed(latex_sections),
    "html": _headed(html_sections),
    "man": _headed(man_sections),
    "rfc": _headed(rfc_sections),
    "book": _headed(book_sections),
    "legal": _headed(legal_sections),
    "pod": _headed(pod_sections),
    "news": _headed(news_sections),
    "faq": _headed(question_sections),
    "questions": _questions,
    "mail-items": _mail_items,
    "code": _code,
    "dictd": _dictd,
    "brown": _brown,
    "mail": _mail,
    "conversation": _conversation,
    "message-threads": _message_threads,
    "paragraphs": _paragraphs,
    "passages": _passages,
}
