"""Reader for Markdown files: the source text, with headings found by markdown-it-py."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from markdown_it import MarkdownIt

from sra_pipelines.readers.txt import decode
from sra_pipelines.values import Heading, Page

__all__ = ["read"]


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Read a Markdown file as one page; the text is the Markdown source, in which table rows are readable."""
    text = decode(path).strip()
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    headings = tuple(
        Heading(starts[token.map[0]], " ".join(content.content.split()))
        for token, content in itertools.pairwise(tokens)
        if token.type == "heading_open" and token.map and content.content.strip()
    )
    if on_page is not None:
        on_page(1, 1)
    return [Page(0, "1", text, headings)]
