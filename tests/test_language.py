"""Expressions that readers did not understand do not come back into code, messages and documentation."""

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What to write instead is on the right. A pattern is added when a reader stumbles over an expression.
INSTEAD = {
    r"\banew\b": "again",
    r"\bonce more\b": "again",
    r"\bof one's own\b": "your own",
    r"\bbeyond doubt\b": "significantly (95% CI excludes 0)",
    r"\b(foretells?|foresees?|foreseen)\b": "predict",
    r"\bsurprise at\b": "negative log-likelihood of",
    r"\bheld back\b": "abstained",
    r"\bsomebody else\b|\bwho outgrows\b": "another user; if you need more than one machine",
    r"\b(is|are|was|were) to be found\b|\b(lies|lie) (in|beside|neither|here) ": "is in, appears on",
    r"\bstands? (in|there|beside|among|behind) (?!for)": "is in, appears on",
    r"\bwhat (was|is) said\b|\bwhat comes out\b": "output, answer",
    r"\bspoken of\b|\bgoes by its name\b": "named",
    r"\bgiven? away\b": "shared",
    r"\bthere whole or not at all\b": "written completely or not at all",
    r"\bas (ever|it stands)\b": "as usual, unchanged",
    r"\bhas the same say\b": "counts equally",
    r"\ba reply that is none\b": "non-answer",
}
PATTERN = re.compile("|".join(f"(?:{pattern})" for pattern in INSTEAD), re.IGNORECASE)
# Prompts decide what a model answers, so their texts stay as they were measured.
PROMPTS = {
    "evaluations/sra_evaluations/calibration/cloze.py",
    "pipelines/sra_pipelines/checks/arithmetic.py",
}
SOURCES = [
    path
    for folder in ("sra_rag", "integrations", "pipelines", "evaluations", "tools", "examples", "replications")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "sample_documents" not in path.parts and str(path.relative_to(ROOT)) not in PROMPTS
]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]


def prose(path):
    """Return the lines of a file that people read: all of a document, comments and strings of a program."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return list(enumerate(text.splitlines(), start=1))
    lines = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)):
            lines += list(enumerate(token.string.splitlines(), start=token.start[0]))
    return lines


def misunderstood(path):
    return [f"{path.name}:{number}: {line.strip()[:90]}" for number, line in prose(path) if PATTERN.search(line)]


@pytest.mark.parametrize("folder", sorted({path.parent for path in SOURCES}), ids=lambda f: str(f.relative_to(ROOT)))
def test_code_is_in_plain_english(folder):
    found = [line for path in SOURCES if path.parent == folder for line in misunderstood(path)]
    assert not found, "\n".join([*found, "", "What to write instead is in INSTEAD of this file."])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents_are_in_plain_english(path):
    assert not misunderstood(path)


def test_comments_and_strings_are_read_and_names_are_not(tmp_path):
    path = tmp_path / "a.py"
    path.write_text('stands_in = 1  # loaded anew\ntext = f"The row {stands_in} stands in the table."\n')
    assert [line.split(":")[1] for line in misunderstood(path)] == ["1", "2"]
