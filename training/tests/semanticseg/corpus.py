"""A small corpus of this project's own in every format, written into a folder. The builder's tests read it."""

from __future__ import annotations

import json
import random
from pathlib import Path

THEMES = {
    "bees": "hive queen honey wax swarm pollen drone comb nectar keeper smoke frame brood sting clover".split(),
    "bridges": "span arch pier cable deck girder load river truss anchor tower wind steel bolt toll".split(),
    "bread": "flour yeast oven crust dough salt rye loaf knead baker starter crumb rise steam tin".split(),
    "stars": "orbit telescope dust galaxy comet spectrum planet gravity lens sky parallax nova ring moon dwarf".split(),
    "courts": "judge appeal ruling witness statute verdict clerk counsel plea evidence bench jury oath fine writ".split(),
    "trains": "track signal engine platform freight gauge driver tunnel timetable coupling brake junction rail guard diesel".split(),
    "gardens": "soil compost seed hedge pruning tulip spade lawn mulch frost greenhouse bulb weed slug trellis".split(),
    "ships": "hull anchor mast cargo harbour tide rudder keel crew lighthouse cabin deck captain rope sail".split(),
}
_FRAMES = (
    "The {a} depends on the {b} more than on any {c}.", "Every {a} that we saw had a {b} beside its {c}.", "Without a {a}, no {b} can keep the {c}.",
    "People who know the {a} speak of the {b} with respect.", "In the north the {a} is made from {b} and a little {c}.", "A good {a} lasts longer than its {b}.",
    "Nobody had measured the {a} before the {b} was moved.", "The {c} was old, but the {a} and the {b} were new.", "When the {a} fails, the {b} takes its place for a day.",
)  # fmt: skip


def sentence(rng: random.Random, theme: str) -> str:
    a, b, c = rng.sample(THEMES[theme], 3)
    return f"{rng.choice(_FRAMES).format(a=a, b=b, c=c)[:-1]} in {rng.randint(1400, 2020)} near {rng.choice('Arle Borle Corve Deme Esk Fenn Gorl Hume'.split())}."


def passage(rng: random.Random, theme: str, sentences: int) -> str:
    said = [sentence(rng, theme) for _ in range(sentences)]
    return "\n\n".join(" ".join(said[at : at + 4]) for at in range(0, len(said), 4))


def write_corpus(folder: Path, documents: int = 24) -> Path:
    """Writes markdown, HTML, RFCs, code, mail, chats and the rest, and a configuration that reads them all. @returns the configuration"""
    rng = random.Random(11)
    themes = list(THEMES)
    for kind in ("md", "html", "rst", "rfc", "law", "man", "book", "code", "mail", "talk", "faq", "speech"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for number in range(documents):
        parts = [(theme, [passage(rng, theme, 8) for _ in range(2)]) for theme in rng.sample(themes, 4)]
        names = [f"On {theme} {number}" for theme, _ in parts]
        (folder / "md" / f"{number}.md").write_text(
            "\n\n".join(
                f"# {name}\n\n## First look\n\n{texts[0]}\n\n## Second look\n\n{texts[1]}" for name, (_, texts) in zip(names, parts, strict=True)
            )
        )
        (folder / "html" / f"{number}.html").write_text(
            "<html><body><nav>Home</nav>"
            + "".join(
                f"<h1>{name}</h1><p>{passage(rng, theme, 6)}</p><h2>More</h2><p>{passage(rng, theme, 6)}</p>"
                for name, (theme, _) in zip(names, parts, strict=True)
            )
            + "</body></html>"
        )
        (folder / "rst" / f"{number}.rst").write_text(
            "\n\n".join(f"{name}\n{'=' * len(name)}\n\n{passage(rng, theme, 10)}" for name, (theme, _) in zip(names, parts, strict=True))
        )
        body = "\n\n".join(
            f"{index}.  {name}\n\n   {passage(rng, theme, 6)}\n\n{index}.1.  Details\n\n   {passage(rng, theme, 6)}"
            for index, (name, (theme, _)) in enumerate(zip(names, parts, strict=True), 1)
        )
        (folder / "rfc" / f"rfc{number}.txt").write_text(
            f"Network Working Group\nRequest for Comments: {number}\n\nAbstract\n\n   About it.\n\n{body}\n"
        )
        (folder / "law" / f"{number}.txt").write_text(
            "\n\n".join(
                f"Article {index}. {name}\n\n{passage(rng, theme, 8)}" for index, (name, (theme, _)) in enumerate(zip(names, parts, strict=True), 1)
            )
        )
        (folder / "man" / f"{number}.1").write_text(
            f".TH TOOL{number} 1\n.SH NAME\ntool{number} \\- a \\fBtool\\fR\n"
            + "".join(f".SH {name.upper()}\n.PP\n{passage(rng, theme, 8)}\n" for name, (theme, _) in zip(names, parts, strict=True))
        )
        (folder / "book" / f"{number}.txt").write_text(
            "\n\n".join(
                f"CHAPTER {index}\n\n{passage(rng, theme, 10)}\n\n* * *\n\n{passage(rng, theme, 8)}" for index, (theme, _) in enumerate(parts, 1)
            )
        )
        (folder / "code" / f"m{number}.py").write_text("\n\n\n".join(_function(rng, theme, index) for index, (theme, _) in enumerate(parts * 3)))
        (folder / "faq" / f"{number}.md").write_text(
            "\n\n".join(f"# Why does the {THEMES[theme][index]} matter?\n\n{passage(rng, theme, 6)}" for index, (theme, _) in enumerate(parts))
        )
        (folder / "speech" / f"{number}.txt").write_text("\n\n".join(passage(rng, theme, 12) for theme, _ in parts))
        for index, (theme, _) in enumerate(parts):
            for answer in range(3):
                (folder / "mail" / f"{number}-{index}-{answer}.eml").write_text(
                    f"From: {rng.choice('Ann Bob Cy'.split())} <who{answer}@example.com>\nSubject: {'Re: ' * bool(answer)}{theme} {number}\nDate: Mon, 3 Mar 2025 10:0{answer}:00 +0000\n\n"
                    f"{passage(rng, theme, 5)}\n\n> {sentence(rng, theme)}\n-- \nwho\n"
                )
    with (folder / "talk" / "talks.jsonl").open("w") as out:
        for number in range(documents * 3):
            topics = [
                {"label": theme, "turns": [{"speaker": "ab"[index % 2], "text": sentence(rng, theme)} for index in range(8)]}
                for theme in rng.sample(themes, 3)
            ]
            out.write(json.dumps({"id": str(number), "topics": topics}) + "\n")
    config = folder / "config.toml"
    config.write_text(_config(folder))
    return config


def _function(rng: random.Random, theme: str, number: int) -> str:
    a, b, c = rng.sample(THEMES[theme], 3)
    lines = "\n".join(f"    {a}_{line} = measure({b!r}, {line}) + {c}  # {sentence(rng, theme)}" for line in range(6))
    return f"# {sentence(rng, theme)}\ndef {a}_{b}_{number}({c}):\n{lines}\n\n    return {a}_0"


def _config(folder: Path) -> str:
    kinds = (
        ("notes", "web", "markdown", "md/*.md"), ("pages", "news", "html", "html/*.html"), ("guides", "papers", "rest", "rst/*.rst"), ("specs", "specifications", "rfc", "rfc/*.txt"),
        ("laws", "legal", "legal", "law/*.txt"), ("pages-of-manual", "manuals", "man", "man/*.1"), ("novels", "books", "book", "book/*.txt"), ("programs", "code", "code", "code/*.py"),
        ("letters", "email", "mail", "mail/*.eml"), ("talks", "conversations", "conversation", "talk/*.jsonl"), ("questions", "qa", "questions", "faq/*.md"),
        ("speeches", "lectures", "paragraphs", "speech/*.txt"), ("lexicon", "encyclopedia", "rest", "rst/*.rst"), ("accounts", "finance", "html", "html/*.html"),
    )  # fmt: skip
    sources = "\n".join(
        f'[[source]]\nname = "{name}"\ncategory = "{category}"\nadapter = "{adapter}"\nfiles = ["{{corpus}}/{files}"]\nlicense = "CC0"\nmin_characters = 60\nmin_piece = 20\n'
        for name, category, adapter, files in kinds
    )
    return (
        "seed = 3\ninstances = 64\nshard_rows = 2\ndev_share = 0.25\ntest_share = 0.25\nkeep_headings = 0.0\nlengths = [[500, 1000, 0.5], [1000, 2000, 0.5]]\n"
        f'[folders]\ncorpus = "{folder}"\n{sources}'
    )
