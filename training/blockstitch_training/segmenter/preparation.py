"""Makes what training reads, in one directory: the word table and the packed features of SemanticSeg's documents and of small talk.

With SemanticSeg's settings long meetings are added. With a teacher its vectors of words and of the units of some documents are added.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..semanticseg.build_settings import load_settings
from ..semanticseg.long_meetings import long_meeting_rows
from ..semanticseg.pool import Pool, read_pool
from .chat_grammar import draw_chat
from .feature_stream import document_row, pack, read_documents, utf16_length
from .sentence_teacher import SentenceTeacher, principal_axes
from .vocabulary import build_vocabulary

WORDS = 44_000
STAGES = ("vocabulary", "features", "teacher")
#: Share of prose documents whose line breaks become spaces, because text need not come in lines.
JOINED = 0.12
TEACHER_UNITS = 160
DEV_DOCUMENTS = 40
DEV_MEETINGS = 60
_ENDS = re.compile(r"[.!?…。！？][\"'”’)\]]*$")


@dataclass(frozen=True)
class Preparation:
    """One preparation, as its command names it."""

    shards: Path  # a build of SemanticSeg
    work: Path  # directory that everything is written to
    teacher: Path | None  # a sentence encoder in Hugging Face form
    per_category: int  # training documents
    talk: Path | None  # what the command `semanticseg talk` wrote
    small_talk: int  # invented chats
    settings: Path | None  # of the build; with it long meetings are composed too
    long_meetings: int
    teacher_documents: int  # per category; small talk and chats count four times
    only: list[str] | None  # of STAGES; None for all


def shard_rows(shards: Path, split: str, category: str, most: int) -> list[dict]:
    rows: list[dict] = []
    for path in sorted((shards / split).glob(f"{category}-*.jsonl")):
        with path.open() as lines:
            for line in lines:
                if len(rows) >= most:
                    return rows
                rows.append(json.loads(line))
    return rows


def talk_names(talk: Path | None) -> list[str]:
    return sorted({path.name.rsplit("-", 1)[0] for path in (talk / "train").glob("*.jsonl")}) if talk else []


def joined_row(row: dict) -> dict | None:
    """The document in one line, where its segments end in sentences."""
    segments = [" ".join(segment.split()) for segment in row["segments"]]
    if any(not _ENDS.search(segment) for segment in segments[:-1]):
        return None
    made = document_row(segments, row["levels"])
    return {**made, "text": made["text"].replace("\n", " ")}


def training_rows(rows: list[dict], rng: random.Random) -> Iterator[dict]:
    for row in rows:
        joined = joined_row(row) if rng.random() < JOINED else None
        yield joined or document_row(row["segments"], row["levels"])


def small_talk_rows(count: int, rng: random.Random) -> list[dict]:
    rows = []
    for _ in range(count):
        chat = draw_chat(rng, rng.randint(2, 10))
        rows.append({"segments": chat.segments, "levels": chat.levels})
    return rows


def pack_long_meetings(options: Preparation, words: Path) -> None:
    """Composes long meetings from the build's pool, so that its splits hold here too."""
    settings = load_settings(options.settings)
    for split, count in (("train", options.long_meetings), ("dev", DEV_MEETINGS)):
        pool = Pool(read_pool(options.shards / "pool", settings, split), split)
        rows = (document_row(row["segments"], row["levels"]) for row in long_meeting_rows(pool, count, settings.seed))
        packed = pack(read_documents(rows, words), options.work / f"{split}-long-meetings.npz")
        print(f"long meetings: {packed} {split} documents", flush=True)


def frequency_words() -> list[str]:
    """Common words of ten languages where the package wordfreq is installed, else none."""
    try:
        from wordfreq import top_n_list
    except ImportError:
        return []
    english = [word for word in top_n_list("en", 40_000) if not word.isdigit()]
    others = [word for language in ("de", "fr", "es", "it", "pt", "nl", "pl", "ru", "sv") for word in top_n_list(language, 600)]
    return english[:26_000] + others + english[26_000:]


def unit_texts(row: dict, starts: np.ndarray) -> list[str]:
    """Texts of a document's units. Offsets count UTF-16 units."""
    text = row["text"]
    if utf16_length(text) == len(text):
        ends = [*starts[1:], len(text)]
        return [text[a:b].strip() for a, b in zip(starts, ends, strict=True)]
    data = text.encode("utf-16-le", "surrogatepass")
    ends = [*starts[1:], len(data) // 2]
    return [data[2 * a : 2 * b].decode("utf-16-le", "replace").strip() for a, b in zip(starts, ends, strict=True)]


def prepare(options: Preparation) -> None:
    """Writes words.bin, one packed file per split and category, and with a teacher its vectors."""
    stages = options.only or STAGES
    rng = random.Random(7)
    options.work.mkdir(parents=True, exist_ok=True)
    words_path = options.work / "words.bin"
    categories = sorted({path.name.rsplit("-", 1)[0] for path in (options.shards / "train").glob("*.jsonl")})
    train = {category: shard_rows(options.shards, "train", category, options.per_category) for category in categories}
    train = {category: rows for category, rows in train.items() if rows}
    train["small-talk"] = small_talk_rows(options.small_talk, rng)
    sources = {category: options.shards for category in train}
    for name in talk_names(options.talk):
        train[name] = shard_rows(options.talk, "train", name, 1 << 30)
        sources[name] = options.talk
    if "vocabulary" in stages:
        texts = ("\n".join(row["segments"]) for rows in train.values() for row in rows)
        vocabulary = build_vocabulary(texts, WORDS, frequency_words())
        vocabulary.write(words_path)
        (options.work / "words.json").write_text(json.dumps(vocabulary.words))
        print(f"{len(vocabulary.words)} words", flush=True)
    if "features" in stages:
        for category, rows in train.items():
            count = pack(read_documents(training_rows(rows, rng), words_path), options.work / f"train-{category}.npz")
            held_out = shard_rows(sources[category], "dev", category, DEV_DOCUMENTS)
            dev = pack(read_documents((document_row(r["segments"], r["levels"]) for r in held_out), words_path), options.work / f"dev-{category}.npz")
            print(f"{category}: {count} training, {dev} dev documents", flush=True)
        if options.settings:
            pack_long_meetings(options, words_path)
    if "teacher" in stages and options.teacher:
        teach(options, train, words_path)


def teach(options: Preparation, train: dict[str, list[dict]], words_path: Path) -> None:
    teacher = SentenceTeacher(options.teacher)
    np.save(options.work / "word-vectors.npy", teacher.vectors(json.loads((options.work / "words.json").read_text()), 512).astype(np.float16))
    print("word vectors", flush=True)
    rows = []
    for category, documents in train.items():
        many = options.teacher_documents * (4 if category in ("small-talk", "conversations", "meetings", "social") else 1)
        rows += [document_row(row["segments"], row["levels"]) for row in documents[:many]]
    kept, texts = [], []
    for row, document in zip(rows, read_documents(iter(rows), words_path), strict=True):
        units = min(document.units, TEACHER_UNITS)
        texts += unit_texts(row, document.starts)[:units]
        document.rows = document.rows[: document.offsets[units]]
        document.offsets, document.labels = document.offsets[: units + 1], document.labels[:units]
        document.starts, document.values = document.starts[:units], document.values[:units]
        kept.append(document)
    print(f"teacher: {len(texts)} units of {len(kept)} documents", flush=True)
    vectors = teacher.vectors(texts)
    mean, axes = principal_axes(vectors, 64)
    reduced = (vectors - mean) @ axes
    reduced /= np.linalg.norm(reduced, axis=1, keepdims=True) + 1e-6
    pack(kept, options.work / "teacher.npz")
    np.save(options.work / "teacher-vectors.npy", reduced.astype(np.float16))

