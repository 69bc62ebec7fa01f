"""Text with headings, cut at them: Markdown, reStructuredText, LaTeX and plain text with chapter lines. It takes text and gives sections."""

from __future__ import annotations

import re

from ..document import Section

_FENCE = re.compile(r"^\s{0,3}(```|~~~)")
_ATX = re.compile(r"^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_SETEXT = re.compile(r"^\s{0,3}(=+|-{3,})\s*$")
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.S)
_BADGES = re.compile(r"!?\[!\[[^\]]*\]\([^)]*\)\]\([^)]*\)|!\[[^\]]*\]\([^)]*\)|<[^>\n]{1,200}>")
_LINK = re.compile(r"\[([^\]]*)\]\([^)\s]*\)")


def markdown_sections(text: str) -> list[Section]:
    """ATX and setext headings outside fences. Images, badges and raw tags are removed, link texts stay."""
    out: list[Section] = []
    lines = _FRONT_MATTER.sub("", text).split("\n")
    depth, title, body, fenced = 0, "", [], False
    for index, line in enumerate(lines):
        if _FENCE.match(line):
            fenced = not fenced
            body.append(line)
            continue
        atx = None if fenced else _ATX.match(line)
        setext = not fenced and index + 1 < len(lines) and line.strip() and _SETEXT.match(lines[index + 1])
        if setext and (line.lstrip().startswith(("|", "-", ">")) or (body and body[-1].strip())):
            setext = False
        if atx or setext:
            out.append(Section(depth, title, "\n".join(body)))
            depth = len(atx.group(1)) if atx else (1 if lines[index + 1].strip().startswith("=") else 2)
            title, body = (atx.group(2) if atx else line.strip()), []
            continue
        if not fenced:
            if _SETEXT.match(line) and not body:
                continue
            line = _LINK.sub(r"\1", _BADGES.sub("", line))
        body.append(line.rstrip())
    out.append(Section(depth, title, "\n".join(body)))
    return _from_one([each for each in out if each.title or each.body.strip()])


_RST_RULE = re.compile(r"^([=\-~^\"'`#*+.:_])\1{2,}\s*$")
_RST_DIRECTIVE = re.compile(r"^\s*\.\.(?:$| (?!\[))|^\s{2,}:[\w-]+:|^:\w+:")
_RST_ROLE = re.compile(r":[a-zA-Z:+_-]+:`(?:~|!)?([^`<]*?)(?:\s*<[^`>]*>)?`")


def rest_sections(text: str) -> list[Section]:
    """Headings are lines under (or between) rules. The order in which rules first appear gives the depth."""
    lines = text.expandtabs(8).split("\n")
    styles: list[str] = []
    out: list[Section] = []
    depth, title, body = 0, "", []
    index = 0
    while index < len(lines):
        line = lines[index]
        over = _RST_RULE.match(line) and index + 2 < len(lines) and lines[index + 1].strip() and _RST_RULE.match(lines[index + 2])
        under = (
            line.strip()
            and not line.startswith((" ", "..", "-", "*"))
            and index + 1 < len(lines)
            and _RST_RULE.match(lines[index + 1])
            and len(lines[index + 1].rstrip()) >= len(line.rstrip()) - 1
            and (index == 0 or not lines[index - 1].strip())
        )
        if over or under:
            style = line[0] * 2 if over else lines[index + 1][0]
            if style not in styles:
                styles.append(style)
            out.append(Section(depth, title, "\n".join(body)))
            depth, body = styles.index(style) + 1, []
            title = (lines[index + 1] if over else line).strip()
            index += 3 if over else 2
            continue
        if not _RST_DIRECTIVE.match(line):
            body.append(_RST_ROLE.sub(r"\1", line).replace("``", "`").rstrip())
        index += 1
    out.append(Section(depth, title, "\n".join(body)))
    return _from_one([each for each in out if each.title or each.body.strip()])


_LATEX_HEAD = re.compile(r"(?<!\\)\\(part|chapter|section|subsection|subsubsection|paragraph)\*?\s*(?:\[[^\]]*\])?\{(.*?)\}", re.M)
_LATEX_DEPTH = {"part": 1, "chapter": 2, "section": 3, "subsection": 4, "subsubsection": 5, "paragraph": 6}


def latex_sections(text: str) -> list[Section]:
    r"""Everything between \begin{document} and \end{document}, cut at sectioning commands. Common markup is unwrapped."""
    text = re.sub(r"(?<!\\)%.*", "", text)
    body = re.search(r"\\begin\{document\}(.*?)(\\end\{document\}|\Z)", text, re.S)
    text = body.group(1) if body else text
    out: list[Section] = []
    at, depth, title = 0, 0, ""
    for match in _LATEX_HEAD.finditer(text):
        out.append(Section(depth, title, _plain_latex(text[at : match.start()])))
        at, depth, title = match.end(), _LATEX_DEPTH[match.group(1)], match.group(2)
    out.append(Section(depth, title, _plain_latex(text[at:])))
    return _from_one([each for each in out if each.title or each.body.strip()])


def _plain_latex(text: str) -> str:
    text = re.sub(r"\\(label|index|cite[a-z]*|ref|pageref|bibliography\w*|usepackage|vspace|hspace)\*?(\[[^\]]*\])*\{[^}]*\}", "", text)
    text = re.sub(r"\\(begin|end)\{[^}]*\}(\[[^\]]*\])?", "", text)
    for _ in range(3):
        text = re.sub(r"\\[a-zA-Z]+\*?(?:\[[^\]]*\])?\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\\item\b", "- ", text)
    text = re.sub(r"\\[a-zA-Z]+\b\*?", "", text).replace("~", " ").replace("``", '"').replace("''", '"')
    text = re.sub(r"\\([%&_#$ {}])", r"\1", text)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+", " ", text))


_POD_ESCAPE = re.compile(r"[A-Z]<(?:<+ )?([^<>]*)(?: >+)?>")


def pod_sections(text: str) -> list[Section]:
    """Perl's pod by =head1 to =head4. The code between pods is left out, =item lines stay."""
    out: list[Section] = []
    depth, title, body, inside = 0, "", [], False
    for line in text.split("\n"):
        command = re.match(r"=([a-z]+\d?)\s*(.*)", line)
        if command:
            inside = command.group(1) != "cut"
        if not inside:
            continue
        for _ in range(2):
            line = _POD_ESCAPE.sub(lambda match: match.group(1).partition("|")[0], line)
        if command and command.group(1).startswith("head"):
            out.append(Section(depth, title, "\n".join(body)))
            depth, body = int(command.group(1)[4:] or 1), []
            title = line.partition(" ")[2].strip()
        elif not command:
            body.append(line.rstrip())
        elif command.group(1) == "item":
            body.append(line.partition(" ")[2])
    out.append(Section(depth, title, "\n".join(body)))
    return _from_one([each for each in out if each.title or each.body.strip()])


_RELEASE = re.compile(
    r"^(?:[\w.+-]+ \([^)]+\) [\w-]+;.*|(?:\*+ |#+ |=+ )?(?:(?:changes|new|noteworthy|news|version|release|v)\b.*)?\d+\.\d+(?:\.\d+)*\S*(?:\s.{0,60})?"
    r"|\d{4}-\d\d-\d\d\b.{0,80}|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b.{0,80})$",
    re.I,
)


def news_sections(text: str) -> list[Section]:
    """NEWS and changelog files: one section per release or day. Its heading is a version, a date or a Debian changelog's first line."""
    out: list[Section] = []
    title, body = "", []
    blank = True
    for line in text.split("\n"):
        if blank and not line.startswith(" ") and _RELEASE.match(line):
            out.append(Section(1, title, "\n".join(body)))
            title, body = line.strip("*#= "), []
        elif not re.match(r"^ -- .+<.*>", line):
            body.append(line.rstrip())
        blank = not line.strip() or re.match(r"^[=*-]{3,}$", line) is not None
    out.append(Section(1, title, "\n".join(body)))
    return [each for each in out[1:] if each.body.strip()]


_QUESTION = re.compile(r"^(?:Q\s?\d*[.:)]\s*|\(?\d+(?:[.-]\d+)*[.:)]*\s+|[*-]\s+)?([A-Z\"'][^\n]{8,140}\?)\s*$", re.M)


def question_sections(text: str) -> list[Section]:
    """Plain-text FAQs: a line that is a question begins a section. The question stays as the first line of its answer."""
    out: list[Section] = []
    matches = list(_QUESTION.finditer(text))
    for index, match in enumerate(matches):
        end = matches[index + 1].start() if index + 1 < len(matches) else len(text)
        answer = re.sub(r"^\s*A\s?\d*[.:)]\s*", "", text[match.end() : end].strip("\n"))
        out.append(Section(1, "", f"{match.group(1)}\n{answer}"))
    return out


_CHAPTER = re.compile(
    r"^\s*(?:(book|part)\s+[ivxlc\d]+\b.*|((?:chapter|canto|act|letter|lecture)\s+(?:[ivxlc\d]+|[a-z]+)\b.*|prologue|epilogue|preface|introduction)"
    r"|(scene\s+[ivxlc\d]+\b.*)|([ivxlc]{1,7}\.?))\s*$",
    re.I,
)
_SCENE = re.compile(r"^\s*(?:\*(?:\s*\*){1,5}|#|⁂|-{3,}|_{3,}|~{3,}|• • •)\s*$")


def book_sections(text: str) -> list[Section]:
    """Plain-text books: part, chapter and act lines with space around them. Scene lines and rows of asterisks part scenes."""
    lines = text.replace("\r\n", "\n").split("\n")
    out: list[Section] = []
    depth, title, body = 0, "", []
    for index, line in enumerate(lines):
        alone = (index == 0 or not lines[index - 1].strip()) and (index + 1 == len(lines) or not lines[index + 1].strip())
        chapter = _CHAPTER.match(line) if alone or (index and not lines[index - 1].strip()) else None
        scene = alone and _SCENE.match(line)
        if not (chapter or scene):
            body.append(line.rstrip())
            continue
        out.append(Section(depth, title, "\n".join(body)))
        body = []
        if scene or (chapter and chapter.group(3)):
            depth, title = 3, "" if scene else line.strip()
        else:
            depth, title = (1 if chapter.group(1) else 2), line.strip()
    out.append(Section(depth, title, "\n".join(body)))
    return _from_one([each for each in out if each.title or each.body.strip()])


_ARTICLE = re.compile(
    r"^\s{0,8}(?:(?:(part|title|book|chapter|annex|schedule|appendix)\s+[ivxlc\d]+\b.{0,80})"
    r"|((?:article|section|§|sec\.)\s*[ivxlc\d]+[.:)]?\b.{0,120})|(\d{1,2}\.\s+[A-Z\"“].{2,120})|(\d{1,2}\.\d{1,2}\.?\s+\S.*))$",
    re.I,
)


def legal_sections(text: str) -> list[Section]:
    """Parts and chapters at depth 1, articles and numbered sections at 2, numbered subsections at 3. Numbers are removed."""
    out: list[Section] = []
    depth, title, body = 0, "", []
    blank = True
    for line in text.replace("\r\n", "\n").expandtabs(8).split("\n"):
        match = _ARTICLE.match(line) if blank else None
        if match:
            out.append(Section(depth, title, "\n".join(body)))
            depth = 1 if match.group(1) else 3 if match.group(4) else 2
            title, body = line.strip(), []
            if match.group(3) or match.group(4):
                rest = re.sub(r"^\s*[\d.]+\s+", "", line)
                if len(rest) > 60:
                    title, body = "", [rest]
                else:
                    title = rest
        else:
            body.append(line.rstrip())
        blank = not line.strip() or match is not None
    out.append(Section(depth, title, "\n".join(body)))
    return _from_one([each for each in out if each.title or each.body.strip()])


def _from_one(sections: list[Section]) -> list[Section]:
    """Closes gaps in depth: the levels that occur become 1, 2, 3... A lone top heading (the title) is not a level."""
    depths = sorted({each.depth for each in sections if each.depth > 0})
    if len(depths) > 1 and sum(each.depth == depths[0] for each in sections) == 1:
        rank = {depth: max(1, index) for index, depth in enumerate(depths)}
    else:
        rank = {depth: index + 1 for index, depth in enumerate(depths)}
    return [Section(rank.get(each.depth, 0), each.title, each.body) for each in sections]
