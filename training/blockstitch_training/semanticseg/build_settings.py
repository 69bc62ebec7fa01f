"""The builder's settings, read from a TOML file. Every field has a default. An unknown field is an error that names it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path


@dataclass(frozen=True)
class SourceSettings:
    """One [[source]].

    strip_repeated: lines that are on many documents are removed (boilerplate.py); false where documents quote one another.
    roots: (name, folder) pairs, filled in from [folders], by which files have the same names on every machine.
    group: what must stay in one split: file, source, folder:N (last N folders) or part:N (first N parts under the pattern).
    """

    name: str
    category: str
    adapter: str
    files: tuple[str, ...]
    license: str = "unknown"
    provenance: str = ""
    group: str = "file"
    works: bool = False
    language: str = ""
    json_field: str = ""
    exclude: tuple[str, ...] = ()
    max_files: int = 0
    min_characters: int = 400
    min_piece: int = 120
    large: bool = False
    strip_repeated: bool = True
    roots: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class BuildSettings:
    """folders: names that `{name}` in a source's files stands for. instances: over all splits and categories.
    lengths: (smallest tokens, largest, share). dev_share, test_share: of the source groups.
    """

    folders: dict[str, str] = field(default_factory=dict)
    seed: int = 7
    instances: int = 30_000
    shard_rows: int = 250
    lengths: tuple[tuple[int, int, float], ...] = ((2_000, 4_000, 0.35), (4_000, 8_000, 0.3), (8_000, 16_000, 0.2), (16_000, 32_000, 0.15))
    dev_share: float = 0.05
    test_share: float = 0.05
    duplicate_threshold: float = 0.7
    keep_headings: float = 0.08
    weights: dict[str, float] = field(default_factory=dict)
    sources: tuple[SourceSettings, ...] = ()


def load_settings(path: Path, folders: dict[str, str] | None = None) -> BuildSettings:
    """folders: in place of those of the file's [folders] table.

    @raises ValueError naming the field and the file
    """
    data = tomllib.loads(path.read_text())
    data["folders"] = {**data.get("folders", {}), **(folders or {})}
    for source in data.get("source", []):
        source["roots"] = tuple(sorted(data["folders"].items(), key=lambda each: -len(each[1])))
        source["files"] = [_placed(each, data["folders"], f"{path}: source {source.get('name', '?')}") for each in source.get("files", [])]
    sources = tuple(_make(SourceSettings, each, f"{path}: source {each.get('name', '?')}") for each in data.pop("source", []))
    if "lengths" in data:
        data["lengths"] = tuple(tuple(each) for each in data["lengths"])
    settings = _make(BuildSettings, {**data, "sources": sources}, str(path))
    names = [each.name for each in sources]
    if len(set(names)) != len(names):
        raise ValueError(f"{path}: two sources have the same name")
    if abs(sum(share for *_, share in settings.lengths) - 1) > 1e-6:
        raise ValueError(f"{path}: the shares of lengths must add up to 1")
    return settings


def _make(kind: type, values: dict, where: str):
    known = {each.name for each in fields(kind)}
    unknown = set(values) - known
    if unknown:
        raise ValueError(f"{where}: unknown field {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
    try:
        return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from error


def _placed(pattern: str, folders: dict[str, str], where: str) -> str:
    name = pattern[1:].partition("}")[0] if pattern.startswith("{") else ""
    if not name:
        return pattern
    if name not in folders:
        raise ValueError(f"{where}: no folder is called {name}; give it in [folders] or by --folder {name}=PATH")
    return folders[name] + pattern[len(name) + 2 :]
