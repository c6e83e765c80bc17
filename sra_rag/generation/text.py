"""From token ids to text as they arrive: never half a character, never a part of a stop text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sra_rag.generation.repetition import find_repetition

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["TextAssembler", "length_begun", "well_formed"]

_REPLACEMENT = "\ufffd"  # what an incomplete UTF-8 sequence decodes to
_SURROGATE = re.compile("[\ud800-\udfff]")


def well_formed(text: str) -> str:
    """Return a text with U+FFFD for each half of a surrogate pair, which no tokenizer and no encoding accepts.

    They come from escapes in JSON, and from arguments of the command line that are not UTF-8. Lengths do not change.
    """
    return text if text.isascii() else _SURROGATE.sub(_REPLACEMENT, text)


class TextAssembler:
    """Text of one answer in the making.

    Parameters
    ----------
    tokenizer
        Decodes the tokens; special ones are left out.
    stop
        Texts at which the answer ends, also where one spans several tokens.
    stop_repetition
        Whether the answer ends where it repeats itself, see `find_repetition`.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str] = (), *, stop_repetition: bool = False
    ) -> None:
        self._tokenizer = tokenizer
        self._stop = tuple(stop)
        self._stop_repetition = stop_repetition
        self._token_ids: list[int] = []
        self._emitted = 0
        self.text = ""
        self.stopped = False
        self.repeated = False

    def add(self, token_id: int) -> str:
        """Take one more token; return the text that is certain now and was not before."""
        if self.stopped:
            return ""
        self._token_ids.append(token_id)
        self.text = self._decode()
        found = [at for at in (self.text.find(stop) for stop in self._stop) if at >= 0]
        if found:
            self.text = self.text[: min(found)]
            self.stopped = True
            return self._emit(len(self.text))
        certain = len(self.text) - self._uncertain()
        repetition = find_repetition(self.text) if self._stop_repetition else None
        if repetition is not None:
            # What is repeated is held, for it is cut if it becomes a loop.
            certain = max(self._emitted, min(certain, len(self.text[: repetition.start].rstrip())))
            if repetition.loops:
                self.text = self.text[:certain]
                self.stopped = self.repeated = True
        return self._emit(certain)

    def finish(self) -> str:
        """Return the remaining text, after the last token."""
        return self._emit(len(self.text))

    def _emit(self, end: int) -> str:
        delta = self.text[self._emitted : end]
        self._emitted = max(self._emitted, end)
        return delta

    def _uncertain(self) -> int:
        """How many characters at the end may still change or be the start of a stop text."""
        broken = len(self.text) - len(self.text.rstrip(_REPLACEMENT))
        return max([broken, *(length_begun(self.text, stop) for stop in self._stop)])

    def _decode(self) -> str:
        return self._tokenizer.decode(self._token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def length_begun(text: str, marker: str) -> int:
    """How many characters at the end of `text` are the beginning of `marker`, but not all of it."""
    longest = min(len(marker) - 1, len(text))
    return next((length for length in range(longest, 0, -1) if text.endswith(marker[:length])), 0)
