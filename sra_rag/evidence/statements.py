"""The parts of a context: paragraphs, and the statements within them.

Paragraphs are the passages of a context whose passages are not given. A statement is the smallest text that can be
evidence by itself: a row of a table, an item of a list, or a sentence, which may reach over the line ends of a page.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence

__all__ = ["headings", "lines_of_passages", "paragraphs", "statements"]

_MOST_HEADS = 2  # lines of a running head
_LONGEST = 1200  # characters, some 300 tokens: a longer block is divided at its line or sentence ends
_BLOCK = re.compile(r"\S(?:(?!\n[ \t]*\n).)*", re.DOTALL)
_LINE = re.compile(r"[^\n]*\S[^\n]*")
_NAME = re.compile(r"\s*\[[^\]]*\]\s*")
_PAGE_NUMBER = re.compile(
    r"\W*(?:page|p\.|seite|p[aá]gina|pagina|strona|side|sida)\s*\d+(?:\s*(?:/|of|von|de|di|sur|z|av)\s*\d+)?\W*",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"\S.*?(?:[.!?](?=\s)|\Z)", re.DOTALL)

_NARROW = 60  # characters: text of a page is wider; shorter lines are not wrapped text
_FULL = 0.75  # of the widest line: a line of wrapped text is at least as long, unless it is the last of its paragraph
_SHORT = 25  # characters: what is shorter stays with the sentence that follows, such as "No. 5"
_AMOUNTS = re.compile(r"(?:\s[^\w\s]*\d[\d.,]*[^\w\s]*){2,}\s*$")  # a row of a table ends with two numbers or more
_END = 200  # characters at the end of a line, in which its last two amounts are
_ITEM = re.compile(r"\s*(?:[-*•\u2013]|\(?\w{1,3}[.)]|\d+(?:\.\d+)+)\s")
# A line of JSON, of a table in Markdown, of a log, or of values between tabs or commas without spaces.
_RECORD = re.compile(
    r"""\s*+(?:["'][^"'\n]*["']\s*[:=]|[\[{}\]]|\|.*\|\s*\Z|\d{4}-\d\d-\d\d[ T]\d\d:\d\d"""
    r"""|[^\t\n]*\t[^\t\n]*\t|[^\s,;]*[^\d\s,;]([,;])["']?[\w(+-][^,;\n]*\1["']?[\w(+-])"""
)
# A colon ends nothing: what stands before it names what follows ("Yearly rent of the warehouse: 82,400").
_ENDS_SENTENCE = re.compile(r"""[.!?;:\u3002\uff01\uff1f\uff1b][\s"')\]]*\Z""")
_LONGEST_HEADING = 80  # characters
_MOST_HEADINGS = 3  # one after another, as the names of a chapter, a section and its columns; more are a list
# A name may end with a title that ends as a sentence does: "Document [2] (Title: Who is there?)".
_NUMBERED_NAME = re.compile(r"\W*([^\W\d_]+)\W{0,3}\d{1,4}\b(?!.*[.!?;:\u3002\uff01\uff1f\uff1b]\s*\Z)", re.DOTALL)
_NUMBERING = re.compile(r"\A\W*\d+(?:\.\d+)*[.)]?\s+(?=[^\W\d_])")
_YEAR = re.compile(r"(?<![\d.,])(?:19|20)\d\d(?!\d|[.,]\d)")
_STATEMENT_END = re.compile(r"""[.!?;](?=\s+["'(]?[^\W_a-z])|[\u3002\uff01\uff1f\uff1b]""")


def paragraphs(text: str) -> list[tuple[int, int]]:
    """Find the blocks between blank lines; longer ones are divided at the ends of lines, else of sentences.

    Returns
    -------
    spans
        The first character of each and the one after its last.
    """
    return [part for found in _BLOCK.finditer(text) for part in _divided(text, *_stripped(text, *found.span()))]


def statements(text: str) -> list[tuple[int, int]]:
    """Find the rows, items and sentences of a passage, as spans of characters in ascending order.

    A line that is about as long as the longest is continued by the next one, unless either is a row of amounts or a
    record (JSON, a log, a table as text) or the next begins an item; what is continued is one text, which is divided at
    the ends of its sentences. A first line in square brackets is the name of the passage, and "Page 11" the number of
    its page: they are no statements, unless nothing else is there.
    """
    lines = [found.span() for found in _LINE.finditer(text)]
    if len(lines) > 1 and _NAME.fullmatch(text, *lines[0]):
        del lines[0]
    lines = [line for line in lines if not _PAGE_NUMBER.fullmatch(text, *line)] or lines
    width = max((last - first for first, last in lines), default=0)
    spans: list[tuple[int, int]] = []
    begin = 0
    for number, (_, last) in enumerate(lines):
        after = lines[number + 1] if number + 1 < len(lines) else None
        if after is None or not _continues(text, lines[number], after, width):
            spans += _sentences(text, lines[begin][0], last)
            begin = number + 1
    return spans


def lines_of_passages(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Find the lines of passages that evidence is chosen from: their statements without the running heads of pages.

    The title of a document, which stands above each of its pages, has words of many questions and answers few. A
    running head is a statement that at least two passages begin with, up to two of them, unless it ends as a sentence
    does or is a row of amounts. Of each passage at least one statement is left.

    Parameters
    ----------
    texts
        The passages of a context, all together.

    Returns
    -------
    spans
        Of each passage, the first character of each line and the one after its last.
    """
    left = [statements(text) for text in texts]
    for _ in range(_MOST_HEADS):
        first = [
            " ".join(text[slice(*of_passage[0])].split()) if len(of_passage) > 1 else ""
            for text, of_passage in zip(texts, left, strict=True)
        ]
        heads = {line for line, count in Counter(first).items() if count > 1 and _may_be_head(line)}
        left = [of_passage[line in heads :] for line, of_passage in zip(first, left, strict=True)]
    return left


def headings(passages: Sequence[Sequence[str]]) -> list[bool]:
    """Tell which lines of passages are headings: they name what follows, so they answer nothing by themselves.

    A heading is short, does not end as a sentence does, and has no number but its own and years; it may be the names of
    columns. Lines that go on in the next one are none, and neither is the end of a passage. More than three such lines
    one after another are a list, or a table without amounts. The first line of a passage is one too if it is a numbered
    name ("Passage 3 (Title: Pumps)") and the name of another passage begins with the same word.

    Parameters
    ----------
    passages
        The lines of each passage, all together.

    Returns
    -------
    headings
        For each line of all passages, in their order.
    """
    words = [_first_word_of_name(lines) for lines in passages]
    counts = Counter(words)
    told = []
    for lines, word in zip(passages, words, strict=True):
        named = word is not None and counts[word] > 1
        told += [heading or (named and number == 0) for number, heading in enumerate(_headings_of(lines))]
    return told


def _headings_of(lines: Sequence[str]) -> list[bool]:
    alike = [
        after is not None and _like_heading(line) and not _rest_of_sentence(after)
        for line, after in itertools.zip_longest(lines, lines[1:])
    ]
    told: list[bool] = []
    for alone, run in itertools.groupby(alike):
        count = len(list(run))
        told += [alone and count <= _MOST_HEADINGS] * count
    return told


def _first_word_of_name(lines: Sequence[str]) -> str | None:
    found = _NUMBERED_NAME.match(lines[0]) if len(lines) > 1 else None
    return found[1].lower() if found and not _is_row(lines[0], 0, len(lines[0])) else None


def _like_heading(line: str) -> bool:
    text = line.strip()
    if len(text) > _LONGEST_HEADING or ": " in text or _RECORD.match(text) or _ENDS_SENTENCE.search(text.rstrip(":")):
        return False
    return not re.search(r"\d", _YEAR.sub("", _NUMBERING.sub("", text, count=1)))


def _rest_of_sentence(line: str) -> bool:
    text = line.strip()
    return text[:1].islower() and (_ENDS_SENTENCE.search(text) is not None or not re.search(r"\d", text))


def _may_be_head(line: str) -> bool:
    return bool(line) and not _ENDS_SENTENCE.search(line) and not _is_row(line, 0, len(line))


def _continues(text: str, line: tuple[int, int], after: tuple[int, int], width: int) -> bool:
    """Whether a line of wrapped text goes on in the one after it."""
    if width < _NARROW or line[1] - line[0] < _FULL * width or text[line[1] : after[0]].count("\n") > 1:
        return False
    if any(_is_row(text, *either) or _RECORD.match(text, *either) for either in (line, after)):
        return False
    return not _ITEM.match(text, *after)


def _is_row(text: str, first: int, last: int) -> bool:
    """Whether a line ends with amounts. Only its end is searched: the time would grow with the square of its length."""
    return _AMOUNTS.search(text, max(first, last - _END), last) is not None


def _sentences(text: str, first: int, last: int) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for end in _STATEMENT_END.finditer(text, first, last):
        if end.end() - first >= _SHORT and text[end.end() : last].strip():
            spans.append((first, end.end()))
            first = end.end() + len(text[end.end() : last]) - len(text[end.end() : last].lstrip())
    return [*spans, (first, last)]


def _stripped(text: str, first: int, last: int) -> tuple[int, int]:
    return first, first + len(text[first:last].rstrip())


def _divided(text: str, first: int, last: int) -> list[tuple[int, int]]:
    if last - first <= _LONGEST:
        return [(first, last)]
    pattern = _LINE if "\n" in text[first:last] else _SENTENCE
    parts: list[tuple[int, int]] = []
    for found in pattern.finditer(text, first, last):
        if parts and found.end() - parts[-1][0] <= _LONGEST:
            parts[-1] = parts[-1][0], found.end()
        else:
            parts.append(found.span())
    return parts
