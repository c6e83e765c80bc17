"""Remove the line breaks inside sentences that a model copies from the lines of a page."""

from __future__ import annotations

import re

__all__ = ["LineJoiner", "join_lines"]

_LONG = 50  # characters of a line that may have been broken at the margin; shorter lines are items of a list
_LONG_UNSPACED = 25  # of a line in a script without spaces, whose characters are wider
_UNSPACED = re.compile(r"[\u3041-\u30ff\u3400-\u9fff]")
_MARK = re.compile(r"(?:[a-z]|[ivx]{1,4})[.)]\s")  # of an item of a list
_MAY_BE_MARK = re.compile(r"(?:[a-z]|[ivx]{1,4})[.)]?")
_HYPHEN = re.compile(r"\w-$")
_ENDED = re.compile(r"[.:;!?|]\s*$")
_OPEN_END = re.compile(
    r"(?:,|\b(?:a|an|the|of|and|or|to|in|on|at|by|for|from|with|as|is|are|was|no))\s*$", re.IGNORECASE
)


def join_lines(text: str) -> str:
    """Return a text without the line breaks inside its sentences.

    A break is removed after a long line without punctuation at its end, if the next line continues with a small letter,
    or if the line ends with a comma or a word such as "the", and between characters of scripts without spaces. Lists,
    table rows and paragraphs keep their breaks.
    """
    joiner = LineJoiner()
    return joiner.add(text) + joiner.finish()


class LineJoiner:
    """As `join_lines`, for a text that comes piece by piece."""

    def __init__(self) -> None:
        self._line = ""
        self._held = ""  # a line break, and the white space after it
        self._ahead = ""  # the beginning of the next line, while it may become the mark of a list

    def add(self, piece: str) -> str:
        """Take a piece of the text; return the text that is certain now."""
        out = ""
        for character in piece:
            if character == "\n" or (self._held and not self._ahead and character.isspace()):
                out += self._decided() if self._ahead else ""
                self._held += character
            elif self._held:
                self._ahead += character
                out += "" if _MAY_BE_MARK.fullmatch(self._ahead) else self._decided()
            else:
                out += character
                self._line += character
        return out

    def finish(self) -> str:
        """Return the text that was buffered, after the last piece."""
        if self._ahead:
            return self._decided()
        held, self._held = self._held, ""
        return held

    def _decided(self) -> str:
        """Return the buffered text, with its line break or without."""
        between = self._held
        if self._is_inside_a_sentence(self._ahead):
            is_joined = self._line.endswith(" ") or _HYPHEN.search(self._line) or _UNSPACED.match(self._ahead)
            between = "" if is_joined else " "
            self._line += between
        else:
            self._line = ""
        text = between + self._ahead
        self._line += self._ahead
        self._held = self._ahead = ""
        return text

    def _is_inside_a_sentence(self, following: str) -> bool:
        line = self._line.rstrip()
        if self._held.count("\n") > 1 or _ENDED.search(line) or _MARK.match(following):
            return False
        if _UNSPACED.match(line[-1:]) and _UNSPACED.match(following):
            return len(line) >= _LONG_UNSPACED
        if len(line) < _LONG:
            return False
        return following[0].islower() or bool(_OPEN_END.search(line) and following[0].isalnum())
