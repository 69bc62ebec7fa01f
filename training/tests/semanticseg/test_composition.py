"""Composing and rendering: near-duplicates, layouts, small talk, meetings and the rest, each from its own seed alone."""

from __future__ import annotations

import random

import pytest

from blockstitch_training.semanticseg.boilerplate import repeated_lines, without_lines
from blockstitch_training.semanticseg.chats import compose_chat, compose_mail, compose_social, opens_topic
from blockstitch_training.semanticseg.compose import compose
from blockstitch_training.semanticseg.document import Piece, SourceDocument, seeded, token_estimate
from blockstitch_training.semanticseg.finance import compose_finance
from blockstitch_training.semanticseg.invented_talk import small_talk
from blockstitch_training.semanticseg.long_meetings import compose_long_meeting, long_meeting_rows
from blockstitch_training.semanticseg.meetings import compose_lecture, compose_meeting
from blockstitch_training.semanticseg.near_duplicates import NearDuplicates
from blockstitch_training.semanticseg.pool import Pool
from blockstitch_training.semanticseg.render import Layout, is_prose, render_code, render_prose
from blockstitch_training.semanticseg.source_documents import UNIT
from blockstitch_training.semanticseg.speech import draw_convention, draw_speakers, sentences, spoken

from .corpus import THEMES, passage, sentence


def document(number: int, category: str, theme: str, kind: str = "prose") -> SourceDocument:
    rng = random.Random(f"{number}{category}{theme}")
    if kind == "turns":
        pieces = [Piece("\n".join(f"{'ab'[line % 2]}{UNIT}{sentence(rng, theme)}" for line in range(12)), 3)]
    elif kind == "mail":
        pieces = [Piece(passage(rng, theme, 6), 1 if index else 3, f"Ann{UNIT}{theme}{UNIT}") for index in range(4)]
    else:
        pieces = [Piece(passage(rng, theme, 10), 3, f"About {theme}") for _ in range(4)]
    return SourceDocument(f"{category}/{number}", f"{category}/{theme}", category, category, "CC0", "", kind, tuple(pieces))


@pytest.fixture(scope="module")
def pool() -> Pool:
    kinds = {"conversations": "turns", "email": "mail"}
    categories = (
        "books",
        "email",
        "manuals",
        "papers",
        "web",
        "encyclopedia",
        "specifications",
        "legal",
        "news",
        "qa",
        "lectures",
        "conversations",
        "finance",
        "code",
    )
    return Pool(document(number, category, theme, kinds.get(category, "prose")) for category in categories for number, theme in enumerate(THEMES))


MAKERS = [compose_chat, compose_mail, compose_social, compose_finance, compose_meeting, compose_lecture]


@pytest.mark.parametrize("maker", MAKERS, ids=lambda each: each.__name__)
def test_each_maker_reaches_the_length_and_says_the_same_from_the_same_seed(maker, pool):
    for seed in range(6):
        pieces, used = maker(seeded("x", seed), pool, 12_000)
        assert pieces == maker(seeded("x", seed), pool, 12_000)[0]
        size = sum(len(piece.text) + 1 for piece in pieces)
        assert 8_000 < size < 24_000, (seed, size)
        assert used and len(pieces) > 1
        assert all(piece.text.strip() and piece.strength in (1, 2, 3, 4) for piece in pieces)


def test_long_meetings_part_topics_with_the_strongest_boundary_and_are_the_same_from_the_same_seed(pool):
    rows = list(long_meeting_rows(pool, 8, 7))
    assert rows == list(long_meeting_rows(pool, 8, 7)) and len(rows) > 4
    for row in rows:
        assert len(row["levels"]) == len(row["segments"]) - 1
        lines = [line for segment in row["segments"] for line in segment.split("\n")]
        assert all(": " in line for line in lines)
    assert {level for row in rows for level in row["levels"]} <= {1, 2, 4}
    assert sum(level == 4 for row in rows for level in row["levels"]) >= len(rows)
    pieces, used = compose_long_meeting(seeded(2), pool)
    assert len(used) <= 8 and sum(len(piece.text) for piece in pieces) > 1_000 * len(used)


def test_documents_follow_one_another_with_the_strongest_boundary(pool):
    pieces, used = compose(seeded(1), pool, "web", 20_000)
    assert sum(piece.strength == 4 for piece in pieces) >= len({each.group for each in used}) - 1 >= 1


def test_meetings_have_named_speakers_on_every_line(pool):
    pieces, _ = compose_meeting(seeded(3), pool, 20_000)
    lines = [line for piece in pieces for line in piece.text.split("\n")]
    speakers = {line.partition(": ")[0] for line in lines}
    assert 2 <= len(speakers) <= 8 and all(": " in line for line in lines)


def test_a_topic_of_small_talk_stays_with_its_things_and_speakers_take_turns():
    for seed in range(50):
        topics = small_talk(random.Random(seed), 5, 4)
        turns = [turn for topic in topics for turn in topic.turns]
        assert all(left.speaker != right.speaker for left, right in zip(turns, turns[1:], strict=False))
        assert all("{" not in turn.text for turn in turns)
        assert topics[0].strength == 3 and all(topic.strength == 2 for topic in topics[1:])


def test_an_answer_does_not_open_a_topic_and_a_question_may():
    assert opens_topic("what do you do for a living?") and opens_topic("i have two cats at home")
    assert not opens_topic("yeah that is what i said") and not opens_topic("why?")


def test_near_duplicates_are_found_and_others_are_kept():
    rng = random.Random(4)
    seen = NearDuplicates(0.7)
    texts = [passage(rng, theme, 40) for theme in THEMES for _ in range(5)]
    assert all(seen.add(text) for text in texts)
    assert not any(seen.add(text) for text in texts)
    assert not any(seen.add(text + "\n\nOne more sentence at the very end of it.") for text in texts)
    half = [text[: len(text) // 3] for text in texts]
    assert sum(seen.add(text) for text in half) > 35
    assert NearDuplicates().add("") and NearDuplicates().add("一二三")


def test_layouts_change_lines_and_gaps_but_no_word():
    pieces = [
        Piece(
            "One long paragraph of prose that goes on for a while so that it can be wrapped.\nIt has two lines.\n\n- a list\n- stays\n\n    code();\n    more();",
            2,
            "Title",
        ),
        Piece("The end.", 2),
    ]
    for gaps in ("blank", "single", "noised"):
        for wrap in (None, 0, 40, -1):
            segments = render_prose(random.Random(1), pieces, Layout(gaps, 0.5, wrap, False))
            assert " ".join("\n".join(segments).split()) == " ".join("\n".join(piece.text for piece in pieces).split())
            assert "- a list\n- stays" in segments[0] and "    code();\n    more();" in segments[0]
            assert ("\n\n" in segments[0]) == (gaps == "blank") or gaps == "noised"
    assert render_prose(random.Random(1), pieces, Layout("single", 0, None, True))[0].startswith("Title\n")


def test_empty_lines_in_code_say_nothing_about_definitions():
    pieces = [Piece("def a():\n\n\n    x = 1\n\n    return x\n\n\n", 2), Piece("def b():\n    pass", 2)]
    assert render_code(random.Random(1), pieces, Layout("single", 0, None, False)) == ["def a():\n    x = 1\n    return x", "def b():\n    pass"]
    assert render_code(random.Random(1), pieces, Layout("blank", 0, None, False))[0] == "def a():\n\n    x = 1\n\n    return x\n"


def test_lists_and_tables_are_not_prose():
    assert is_prose("A sentence that is long enough to be taken for one\nand goes on here.")
    assert not is_prose("- a\n- b") and not is_prose("name    value\nx       1") and not is_prose("short\nlines\nof verse")


def test_speech_keeps_the_words_that_carry_the_topic():
    rng = random.Random(8)
    text = "The keeper moved the hive before the swarm left the orchard in spring."
    for _ in range(30):
        words = spoken(rng, text, draw_convention(rng)).lower()
        assert all(each in words for each in ("keeper", "hive", "swarm", "orchard"))
    assert len(set(draw_speakers(rng, 6))) == 6


def test_nobody_reads_code_or_tables_aloud():
    assert sentences("He said so again. Then they left it.\n\n| a | b |\n\n{x: [1, 2], y: (3)}\n\n- item") == [
        "He said so again.",
        "Then they left it.",
    ]


def test_tokens_are_counted_by_bytes():
    assert token_estimate("abcd" * 10) == 10 and token_estimate("é" * 4) == 2


def test_lines_on_many_documents_go_and_their_boundaries_stay():
    def page(number: int) -> SourceDocument:
        pieces = (
            Piece(f"Small. Fast. Reliable.\n{passage(random.Random(number), 'bees', 6)}", 3),
            Piece("All rights reserved by us.", 3),
            Piece(f"Body {number} of the page is here.", 2),
        )
        return SourceDocument(str(number), str(number), "web", "pages", "CC0", "", "prose", pieces)

    pages = [page(number) for number in range(12)]
    lines = repeated_lines(pages)
    assert lines == {"Small. Fast. Reliable.", "All rights reserved by us."}
    kept = without_lines(pages[3], lines)
    assert [piece.strength for piece in kept.pieces] == [3, 3]
    assert kept.pieces[1].text == "Body 3 of the page is here."
    assert repeated_lines(pages[:5]) == frozenset()
