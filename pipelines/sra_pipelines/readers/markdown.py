"""Reader for Markdown files: the source text, with headings found by markdown-it-py."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

from markdown_it import MarkdownIt

from sra_pipelines.readers.encoded_data import without_encoded_data
from sra_pipelines.readers.txt import decode
from sra_pipelines.values import Heading, Page

__all__ = ["read"]

# Metadata at the start of a file, as of Jekyll, Hugo and Pandoc: YAML between lines of "---", or TOML between "+++".
_FRONT_MATTER = re.compile(r"(?P<mark>---|\+\+\+)[ \t]*\n(?P<lines>(?:.*\n)*?)(?:(?P=mark)|\.\.\.)[ \t]*(?:\n|\Z)")
_KEY = re.compile(r"[\w\"'][\w .\"'-]*\s*[:=](?:\s|$)")
_CONTINUED = re.compile(r"\s|[-\]})#\[]|$")  # a line of a list, of a longer value, or a comment


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Read a Markdown file as one page; the text is the Markdown source, in which table rows are readable.

    Metadata at the start of the file is text, and no heading.
    """
    text, notices = without_encoded_data(decode(path).strip())  # parsing pictures takes seconds
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    front = _FRONT_MATTER.match(text)
    metadata = front[0] if front and _is_metadata(front["lines"]) else ""
    # Blank lines instead of the metadata keep the numbers of the lines.
    source = "\n" * metadata.count("\n") + text[len(metadata) :]
    # Headings are found without parsing the text within paragraphs, which takes most of the time.
    tokens = MarkdownIt("commonmark").enable("table").disable("inline").parse(source)
    headings = tuple(
        Heading(starts[token.map[0]], " ".join(content.content.split()))
        for token, content in itertools.pairwise(tokens)
        if token.type == "heading_open" and token.map and content.content.strip()
    )
    if on_page is not None:
        on_page(1, 1)
    return [Page(0, "1", text, headings, notices)]


def _is_metadata(block: str) -> bool:
    """Return whether lines are keys with values, and not text between two rules."""
    lines = [line for line in block.split("\n") if line.strip() and not line.startswith("#")]
    return bool(lines and _KEY.match(lines[0])) and all(_KEY.match(line) or _CONTINUED.match(line) for line in lines)
