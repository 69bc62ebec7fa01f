"""E-mail: RFC 822 messages (single files, mbox) grouped into threads by subject. Headers, signatures and footers are removed."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_FIELD = re.compile(r"\s*[A-Z][\w-]{1,20}: ")
_PREFIX = re.compile(r"^\s*(?:(?:re|fwd?|aw|sv|antw|was)\s*(?:\[\d+\])?\s*:|\[[^\]]{1,30}\])\s*", re.I)
_FOOTER = re.compile(r"^(?:-- ?|_{10,}|-{20,}|={20,}|\*{20,})\s*$")
_FOOTER_WORDS = re.compile(r"mailing list|unsubscribe|listinfo|yahoo! groups|to post to|sponsor|this sf\.net email", re.I)
_ATTRIBUTION = re.compile(r"^(?:on\b.{5,160}\b(?:wrote|writes|said)\s*:|.{3,80}\s(?:wrote|writes|said)\s*:|-+\s*original message\s*-+.*)$", re.I)


@dataclass(frozen=True)
class Message:
    subject: str
    sender: str
    date: str
    body: str
    quoted: str


def read_message(raw: str) -> Message | None:
    """The plain-text part of one message. None where there is none or it cannot be read."""
    try:
        parsed = email.message_from_string(raw, policy=email.policy.default)
        part = parsed.get_body(("plain",)) if parsed.is_multipart() else parsed
        if part is None or part.get_content_type() != "text/plain":
            return None
        text = part.get_content()
        sender = str(parsed.get("From", ""))
        subject = str(parsed.get("Subject", ""))
        date = str(parsed.get("Date", ""))
    except (LookupError, ValueError, TypeError, AttributeError, KeyError, IndexError):
        return None
    # Addresses are not a topic, and they do not belong in a data set.
    body, quoted = strip_quotes(_ADDRESS.sub("someone@example.org", text))
    body = _without_fields(body)
    name = re.sub(r"<[^>]*>|\([^)]*\)|\"", "", sender).strip() or sender.split("@")[0].strip("<")
    return Message(" ".join(subject.split()), name.split("@")[0], date, body, quoted) if body.strip() else None


def _without_fields(body: str) -> str:
    """Feeds and forwards repeat header-like lines at the head of the body."""
    lines = body.split("\n")
    at = 0
    while at < len(lines) and (not lines[at].strip() or _FIELD.match(lines[at])):
        at += 1
    return "\n".join(lines[at:] if at < len(lines) else lines)


def thread_key(subject: str) -> str:
    while True:
        shorter = _PREFIX.sub("", subject)
        if shorter == subject:
            return re.sub(r"\W+", " ", subject).strip().lower()
        subject = shorter


def strip_quotes(text: str) -> tuple[str, str]:
    """@returns what the sender wrote, and the quoted lines. Signatures and list footers are in neither."""
    own: list[str] = []
    quoted: list[str] = []
    lines = text.replace("\r\n", "\n").split("\n")
    for index, line in enumerate(lines):
        if _FOOTER.match(line) and (line.startswith("-- ") or line == "--" or _FOOTER_WORDS.search("\n".join(lines[index : index + 8]))):
            break
        if re.match(r"^\s{0,2}(?:[A-Za-z]{0,3}[>|}])", line):
            quoted.append(re.sub(r"^(?:\s{0,2}[A-Za-z]{0,3}[>|}])+\s?", "", line))
        elif _ATTRIBUTION.match(line.strip()):
            continue
        elif line.lower().startswith("-----original message"):
            break
        else:
            own.append(line.rstrip())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(own)).strip("\n"), "\n".join(quoted).strip("\n")


def split_mbox(text: str) -> Iterator[str]:
    """The messages of an mbox file. Each begins with a line `From ` after an empty line."""
    for raw in re.split(r"(?:\A|\n\n)From [^\n]*\n", text):
        if raw.strip():
            yield raw


def threads(messages: Iterable[Message]) -> dict[str, list[Message]]:
    """Messages by normalized subject, in the order given."""
    out: dict[str, list[Message]] = {}
    for message in messages:
        out.setdefault(thread_key(message.subject), []).append(message)
    return out
