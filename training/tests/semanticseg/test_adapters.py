"""Adapters: the pieces are those that a person would call the parts of a file, and the text does not show where they begin."""

from __future__ import annotations

import pytest

from blockstitch_training.semanticseg.adapters import code, conversation, mail, reference
from blockstitch_training.semanticseg.adapters.html_text import html_sections
from blockstitch_training.semanticseg.adapters.marked_text import (
    book_sections,
    latex_sections,
    legal_sections,
    markdown_sections,
    news_sections,
    pod_sections,
    question_sections,
    rest_sections,
)
from blockstitch_training.semanticseg.adapters.rfc import rfc_sections
from blockstitch_training.semanticseg.adapters.roff import man_sections
from blockstitch_training.semanticseg.document import Section, pieces_from_sections


def outline(sections: list[Section]) -> list[tuple[int, str]]:
    return [(each.depth, each.title) for each in sections if each.title]


def test_markdown_headings_of_both_styles_are_found_but_not_those_in_code():
    text = "# Book\n\nintro\n\nSetup\n-----\n\n```\n# not a heading\n```\n\n## Use\n\nsee [the docs](http://x)\n\n### Deep\n\nend\n"
    sections = markdown_sections(text)
    assert outline(sections) == [(1, "Book"), (1, "Setup"), (1, "Use"), (2, "Deep")]
    assert "# not a heading" in sections[1].body
    assert sections[2].body.strip() == "see the docs"


def test_a_table_or_a_rule_in_markdown_is_no_heading():
    assert outline(markdown_sections("text\n\n---\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")) == []


def test_restructured_text_depth_follows_the_order_of_the_rules():
    text = "=====\nTitle\n=====\n\nOne\n---\n\na :func:`~os.path` b\n\nSub\n~~~\n\n.. note::\n\n   kept\n\nTwo\n---\n\nc\n"
    sections = rest_sections(text)
    assert outline(sections) == [(1, "Title"), (1, "One"), (2, "Sub"), (1, "Two")]
    assert "a os.path b" in sections[1].body
    assert "note::" not in sections[2].body and "kept" in sections[2].body


def test_latex_is_cut_at_sections_and_its_commands_are_unwrapped():
    text = (
        r"\documentclass{article}\begin{document}\section{A}\label{a} An \emph{old} idea, 50\% true. % hidden"
        + "\n"
        + r"\subsection{B} More.\section{C} End.\end{document}"
    )
    sections = latex_sections(text)
    assert outline(sections) == [(1, "A"), (2, "B"), (1, "C")]
    assert sections[0].body.split() == ["An", "old", "idea,", "50%", "true."]


def test_html_navigation_is_left_out_and_preformatted_lines_stay():
    text = (
        "<html><head><title>t</title></head><body><div class='navheader'><p>Next</p></div><h1>A</h1><p>one\n two</p><pre>x = 1\n  y = 2</pre>"
        "<ul><li><p>item</p></li></ul><h2>B</h2><p>three<br>four</p><script>no</script></body></html>"
    )
    sections = html_sections(text)
    assert outline(sections) == [(1, "A"), (1, "B")]
    assert "one two" in sections[0].body and "x = 1\n  y = 2" in sections[0].body and "- item" in sections[0].body
    assert sections[1].body == "three\nfour"
    assert "Next" not in "".join(each.body for each in sections)


def test_a_manual_page_loses_its_macros_and_keeps_its_words():
    text = '.TH LS 1\n.SH NAME\nls \\- list \\fIdirectory\\fR contents\n.SH OPTIONS\n.SS Sorting\n.TP\n.B \\-t\nsort by time\n.\\" comment\n'
    sections = man_sections(text)
    assert outline(sections) == [(1, "NAME"), (1, "OPTIONS"), (2, "Sorting")]
    assert sections[0].body == "ls - list directory contents"
    assert "-t sort by time" in sections[-1].body and "comment" not in sections[-1].body


def test_an_rfc_loses_page_breaks_its_contents_and_its_boilerplate():
    text = (
        "RFC 1\n\nStatus of this Memo\n\n   Legal words.\n\nTable of Contents\n\n   1. Scope .......... 2\n\n1.  Scope\n\n   First line\n\n\n\nDoe          Standards Track        [Page 1]\n\f\n"
        "RFC 1      Title      May 1999\n\n   second line\n\n1.1.  Terms\n\n   MUST and MAY.\n\n2.  References\n\n   [1] A book.\n"
    )
    sections = rfc_sections(text)
    assert outline(sections) == [(1, "Scope"), (2, "Terms")]
    assert "First line" in sections[0].body and "second line" in sections[0].body and "Page" not in sections[0].body


def test_books_part_at_chapters_and_at_scenes():
    text = "CHAPTER I\n\nIt began.\n\n* * *\n\nLater on.\n\nCHAPTER II\n\nIt ended. Chapter three was never written.\n"
    assert [(each.depth, each.body.strip()) for each in book_sections(text)] == [
        (1, "It began."),
        (2, "Later on."),
        (1, "It ended. Chapter three was never written."),
    ]


def test_a_law_is_cut_at_its_articles_and_their_numbers_go():
    sections = legal_sections(
        "CHAPTER I General\n\nArticle 1. Scope\n\nThis law applies.\n\nArticle 2. Terms\n\n2.1 Words\n\nA word is a word.\n\nCHAPTER II Other\n\nThe rest.\n"
    )
    assert [each.depth for each in sections] == [1, 2, 2, 3, 1]
    assert "Article" not in "".join(each.body for each in sections)


def test_release_notes_are_cut_at_versions_and_questions_at_questions():
    assert [each.title for each in news_sections("Changes in 2.1\n\n* one\n\nChanges in 2.0\n\n* two\n")] == ["Changes in 2.1", "Changes in 2.0"]
    sections = question_sections("Q: Why is the sky blue?\nA: Light scatters.\n\nQ: And why is the grass green?\nA: Leaves.\n")
    assert [each.body for each in sections] == ["Why is the sky blue?\nLight scatters.", "And why is the grass green?\nLeaves."]


def test_perl_documentation_is_read_without_the_code_around_it():
    sections = pod_sections("print 1;\n=head1 NAME\n\nTool - B<bold> C<< $x >>\n\n=head2 Use\n\nText L<perlfaq|x>\n\n=cut\nprint 2;\n")
    assert outline(sections) == [(1, "NAME"), (2, "Use")] or outline(sections) == [(1, "NAME"), (1, "Use")]
    assert "Tool - bold $x" in sections[0].body and "print" not in "".join(each.body for each in sections)


def test_a_heading_without_text_lends_its_strength_to_what_follows():
    pieces = pieces_from_sections([Section(1, "Part", ""), Section(2, "One", "x" * 200), Section(2, "Two", "y" * 200), Section(2, "Three", "short")])
    assert [piece.strength for piece in pieces] == [3, 2]
    assert pieces[1].text.endswith("short")


SNIPPETS = {
    "python": ("import os\n\n# Says hello.\ndef a():\n    return 1\n\n@wrap\ndef b():\n    return 2\n", ["# Says hello.", "@wrap"]),
    "javascript": (
        "const x = 1\n\n// Says hello.\nexport function a () { return 1 }\n\nfunction b () { return 2 }\n",
        ["// Says hello.", "function b"],
    ),
    "typescript": (
        "import x from 'y';\n\n/** Says hello. */\nexport function a(): number { return 1 }\n\ninterface B { c: string }\n",
        ["/** Says hello. */", "interface B"],
    ),
    "java": ("package p;\n\n/** Doc. */\nclass A { int x; }\n\nclass B { int y; }\n", ["/** Doc. */", "class B"]),
    "go": ("package p\n\n// A says hello.\nfunc A() int { return 1 }\n\nfunc B() int { return 2 }\n", ["// A says hello.", "func B"]),
    "rust": ("use x;\n\n/// Doc.\n#[inline]\nfn a() -> i32 { 1 }\n\nstruct B { c: i32 }\n", ["/// Doc.", "struct B"]),
    "c": ("#include <x.h>\n\n/* Doc. */\nint a(void) { return 1; }\n\nint b(void) { return 2; }\n", ["/* Doc. */", "int b"]),
    "cpp": ("#include <x>\n\n// Doc.\ntemplate <class T> int a() { return 1; }\n\nclass B { int c; };\n", ["// Doc.", "class B"]),
    "ruby": ("require 'x'\n\n# Doc.\ndef a\n  1\nend\n\ndef b\n  2\nend\n", ["# Doc.", "def b"]),
    "bash": ("set -e\n\n# Doc.\na() {\n  echo 1\n}\n\nb() {\n  echo 2\n}\n", ["# Doc.", "b()"]),
    "c-sharp": ("using X;\n\n/// Doc.\nclass A { int x; }\n\nclass B { int y; }\n", ["/// Doc.", "class B"]),
    "php": ("<?php\nuse X;\n\n/** Doc. */\nfunction a() { return 1; }\n\nfunction b() { return 2; }\n", ["/** Doc. */", "function b"]),
}


@pytest.mark.parametrize("language", SNIPPETS)
def test_definitions_begin_pieces_together_with_their_comments(language, monkeypatch):
    monkeypatch.setattr(code, "SMALL_CHARACTERS", 1)
    text, begins = SNIPPETS[language]
    starts = [piece.text for piece in code.code_pieces(text, language)]
    for begin in begins:
        assert any(start.startswith(begin) for start in starts), starts


def test_methods_of_a_large_class_are_finer_pieces_than_the_class():
    body = "".join(f"    def m{index}(self):\n" + "        x = 1\n" * 40 + "\n" for index in range(4))
    pieces = code.code_pieces(f"import os\n\nclass A:\n{body}\nclass B:\n    pass\n" + "y = 2\n" * 60, "python")
    assert [piece.strength for piece in pieces][:4] == [2, 2, 1, 1]
    assert "".join(piece.text for piece in pieces).count("def m") == 4


def test_a_reply_is_only_what_its_sender_wrote():
    message = mail.read_message(
        "From: Ann Lee <ann@example.com>\nSubject: Re: [list] Bees\n\nOn Monday Bob wrote:\n> old\nNew words, write to joe@example.net.\n-- \nAnn\n"
    )
    assert message is not None and message.body == "New words, write to someone@example.org."
    assert message.sender == "Ann Lee" and mail.thread_key(message.subject) == "bees"


def test_a_message_that_is_no_text_is_left_out():
    assert mail.read_message("Content-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n") is None


def test_a_chat_log_is_read_with_times_names_and_topics():
    topics = conversation.read_log("=== pets\n[12:01] ann: hi\n<bob> hello\n  there\n=== food\nann: pizza?\n")
    assert [(each.label, [(turn.speaker, turn.text) for turn in each.turns]) for each in topics] == [
        ("pets", [("ann", "hi"), ("bob", "hello there")]),
        ("food", [("ann", "pizza?")]),
    ]


def test_a_bad_line_of_conversations_is_named():
    with pytest.raises(ValueError, match="line 2"):
        list(conversation.read_jsonl('{"topics": [{"turns": [{"speaker": "a", "text": "b"}]}]}\n{"topics": 1}\n'))


def test_dictionaries_and_tagged_text_become_articles_and_paragraphs():
    assert list(reference.dictd_entries("00-database-info\n  x\napple\n   A {fruit}.\n\n   (2001-02-03)\nbee\n   An insect.\n")) == [
        ("apple", "A fruit."),
        ("bee", "An insect."),
    ]
    assert list(reference.brown_paragraphs("\n\n\tRoad/nn-hl Closed/vbn-hl\n\n\n\tThe/at road/nn ,/, ``/`` he/pps said/vbd ''/'' ./.\n")) == [
        (True, "Road Closed"),
        (False, 'The road, "he said".'),
    ]
