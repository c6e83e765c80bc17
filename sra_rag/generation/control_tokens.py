"""Control tokens of a model in text: where users and documents spell one, the spelling is kept and the token is not.

A chat template writes control tokens such as ``<|im_end|>``. A text that contains their spelling, or that becomes it
when the tokenizer normalizes text, must stay text. Such spellings, in keys of mappings too, are replaced by
placeholders before the template is applied. Afterwards they are tokenized in parts, none of which is the token.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sra_rag.errors import PromptError
from sra_rag.generation.text import well_formed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["ControlTokens", "divided", "placeholder_length"]

# Unicode noncharacters: never assigned, so no document has a use for them.
_OPEN, _CLOSE = "\U0010fffe", "\U0010ffff"
_PLACEHOLDER = re.compile(f"{_OPEN}([0-9]{{1,7}}(?:,[0-9]{{1,7}})*){_CLOSE}")  # code points of what it replaces
_LAST_CODE_POINT = 0x10FFFF


class ControlTokens:
    """The control tokens of one tokenizer, and texts without them. Several threads may use it at once.

    Parameters
    ----------
    tokenizer
        A tokenizer of transformers. It is only read.
    tokenizing
        Lock that is held while the tokenizer works. The caller holds it for `spelled_ids` and `ids`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, tokenizing: threading.Lock) -> None:
        self.tokenizer = tokenizer
        self._tokenizing = tokenizing
        controls = _control_tokens(tokenizer)
        self._spelling = _any_of({*controls, _OPEN})  # a placeholder that was in the text stays text too
        self._written = _any_of(controls) if controls else None
        # The token for text that is not in the vocabulary is not a control token.
        self._control_ids = set(tokenizer.convert_tokens_to_ids(sorted(controls))) - {tokenizer.unk_token_id}
        # The slow tokenizers of transformers have no normalizer that could be asked: see `check`.
        self._normalizer = tokenizer.backend_tokenizer.normalizer if tokenizer.is_fast else None
        normalized = {self._normalize(text) for text in controls} | controls
        self._normalized_spelling = _any_of({text for text in normalized if text.strip()}) if controls else None

    def shield(self, text: str) -> str:
        """Replace spellings of control tokens by placeholders, which `spelled_ids` turns back into plain text.

        Text that the tokenizer's normalizer would turn into such a spelling (full-width or upper-case letters, for
        example) is replaced as well. Halves of surrogate pairs become U+FFFD.
        """
        shielded = self._spelling.sub(lambda match: _placeholder(match[0]), well_formed(text))
        if self._normalizer is None:
            return shielded
        pieces = divided(shielded)
        pieces[::2] = map(self._shield_normalized, pieces[::2])
        pieces[1::2] = [f"{_OPEN}{piece}{_CLOSE}" for piece in pieces[1::2]]
        return "".join(pieces)

    def shield_all(self, value: Any) -> Any:
        """Shield every text within lists and mappings, such as the arguments of a tool call, and every key."""
        if isinstance(value, str):
            return self.shield(value)
        if isinstance(value, Mapping):
            return {self.shield_all(key): self.shield_all(item) for key, item in value.items()}
        return [self.shield_all(item) for item in value] if isinstance(value, list | tuple) else value

    def _normalize(self, text: str) -> str:
        return text if self._normalizer is None else str(self._normalizer.normalize_str(text))

    def _shield_normalized(self, text: str) -> str:
        """Replace what becomes a control token only once the tokenizer has normalized it."""
        if self._normalized_spelling is None or not self._normalized_spelling.search(self._normalize(text)):
            return text
        with self._tokenizing:
            encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        parts: list[str] = []
        last = 0
        for token, (start, stop) in zip(encoded.input_ids, encoded.offset_mapping, strict=True):
            if token in self._control_ids and last <= start < stop:
                parts += [self._shield_normalized(text[last:start]), _placeholder(text[start:stop])]
                last = stop
        return "".join([*parts, self._shield_normalized(text[last:])]) if parts else text

    def spelled_ids(self, codes: str) -> list[int]:
        """Tokenize the text that a placeholder replaced, in parts that are not control tokens.

        Parameters
        ----------
        codes
            An odd element of `divided`.
        """
        text = _replaced(codes)
        return [*self._plain_ids(text[:1]), *self._plain_ids(text[1:])]

    def ids(self, text: str) -> list[int]:
        """Tokenize text without special tokens."""
        return list(self.tokenizer(text, add_special_tokens=False).input_ids) if text else []

    def check(self, texts: Sequence[str], token_ids: list[int]) -> None:
        """Check that the prompt has no control tokens except those of the template, whatever the tokenizer normalizes.

        Parameters
        ----------
        texts
            The prompt without its placeholders.
        token_ids
            The whole prompt.
        """
        if self._written is None:
            return
        written = sum(len(self._written.findall(text)) for text in texts)
        made = sum(token in self._control_ids for token in token_ids)
        if made > written:
            raise PromptError(
                f"The text of the prompt would become {made - written} control token(s) of the model's template. "
                "Remove unusual characters that normalise to such a token."
            )

    def _plain_ids(self, text: str) -> list[int]:
        """Tokenize text in as many parts as it takes for none to be a control token."""
        ids = self.ids(text)
        if self._control_ids.isdisjoint(ids):
            return ids
        if len(text) == 1:
            text = self._normalize(text)  # one character may become a whole token
        if len(text) <= 1:
            return ids  # refused by `check`
        return [*self._plain_ids(text[:1]), *self._plain_ids(text[1:])]


def placeholder_length(codes: str) -> int:
    """Return the number of characters of a placeholder; `codes` is an odd element of `divided`."""
    return len(_OPEN) + len(codes) + len(_CLOSE)


def _control_tokens(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Return the spellings that must not become tokens in text.

    They are the special tokens, what the chat template writes, and every other added token in brackets or similar,
    such as ``<think>``. Added words are not control tokens: they are a vocabulary.
    """
    template = str(tokenizer.chat_template or "")
    controls = set(tokenizer.all_special_tokens)
    for token in tokenizer.added_tokens_decoder.values():
        text = token.content
        if token.special or (len(text) > 1 and (text in template or _is_bracketed(text.strip()))):
            controls.add(text)
    return {text for text in controls if text.strip()}


def _is_bracketed(text: str) -> bool:
    """Whether a text begins and ends with a punctuation mark or symbol, and holds a letter or digit."""
    ends = text[:1] + text[-1:]
    return any(map(str.isalnum, text)) and all(unicodedata.category(character)[0] in "PS" for character in ends)


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """Match any of some texts, the longest first."""
    return re.compile("|".join(map(re.escape, sorted(texts, key=lambda text: (-len(text), text)))))


def _placeholder(text: str) -> str:
    return f"{_OPEN}{','.join(str(ord(character)) for character in text)}{_CLOSE}"


def _replaced(codes: str) -> str:
    """Return the text that a placeholder replaced."""
    return "".join(chr(int(code)) for code in codes.split(","))


def divided(rendered: str) -> list[str]:
    """Split into text (even indices) and the code points of placeholders (odd indices)."""
    pieces: list[str] = [""]
    last = 0
    for match in _PLACEHOLDER.finditer(rendered):
        if all(int(code) <= _LAST_CODE_POINT for code in match[1].split(",")):
            pieces[-1] += rendered[last : match.start()]
            pieces += [match[1], ""]
            last = match.end()
    pieces[-1] += rendered[last:]
    return pieces
