"""Remove the line breaks inside sentences that a model copies from the lines of a page."""

from __future__ import annotations

import re

__all__ = ["LineJoiner", "join_lines"]

_LONG = 50  # characters of a line that may have been broken at the margin; shorter lines are items of a list
_ENDED = re.compile(r"[.:;!?|]\s*$")
_OPEN_END = re.compile(
    r"(?:,|\b(?:a|an|the|of|and|or|to|in|on|at|by|for|from|with|as|is|are|was|no))\s*$", re.IGNORECASE
)


def join_lines(text: str) -> str:
    """Return a text without the line breaks inside its sentences.

    A break is removed after a long line without punctuation at its end, if the next line continues with a small letter,
    or if the line ends with a comma or a word such as "the". Lists, table rows and paragraphs keep their breaks.
    """
    joiner = LineJoiner()
    return joiner.add(text) + joiner.finish()


class LineJoiner:
    """As `join_lines`, for a text that comes piece by piece."""

    def __init__(self) -> None:
        self._line = ""
        self._held = ""  # a line break, and the white space after it

    def add(self, piece: str) -> str:
        """Take a piece of the text; return the text that is certain now."""
        out = ""
        for character in piece:
            if character == "\n" or (self._held and character.isspace()):
                self._held += character
                continue
            if self._held:
                broken = self._is_inside_a_sentence(character)
                if broken:
                    out += "" if self._line.endswith(" ") else " "
                    self._line += " "
                else:
                    out += self._held
                    self._line = ""
                self._held = ""
            out += character
            self._line += character
        return out

    def finish(self) -> str:
        """Return the text that was buffered, after the last piece."""
        held, self._held = self._held, ""
        return held

    def _is_inside_a_sentence(self, following: str) -> bool:
        line = self._line.rstrip()
        if self._held.count("\n") > 1 or len(line) < _LONG or _ENDED.search(line):
            return False
        return following.islower() or bool(_OPEN_END.search(line) and following.isalnum())
