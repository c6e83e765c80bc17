"""Answers that are JSON of a given schema, however small the model and however few the tokens.

The grammar comes from xgrammar (Dong et al., arXiv 2411.15100), which reports after each token which ones may
follow. A grammar alone does not end an answer: a small model may write one string until its tokens run out. So
a way to close the JSON is kept at hand, token by token, and a token is taken only if from there the JSON can
still be closed within the tokens that are left.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import LogitsProcessor

from sra_rag.errors import ConfigError, require_extra
from sra_rag.generation.grammar.compiling_process import CompilingProcess
from sra_rag.generation.grammar.schema_limits import cannot_follow, compiles_at_once, require_compilable

if TYPE_CHECKING:
    import xgrammar
    from transformers import PreTrainedTokenizerBase

__all__ = ["JSONConstraint", "JSONGrammars"]

# What ends an object, an array and a string, in the order in which they are tried.
_CLOSERS = (b"}", b"]", b'"')
_MOST_KEPT = 16  # compiled grammars
_FIRST_PRINTABLE = 0x20  # of the bytes of UTF-8
_LETTERS = (b"a", b"A", b" ", b"0")  # where one of these may follow as well as a closer, a string is open

_building = threading.Lock()
_grammars: weakref.WeakKeyDictionary[PreTrainedTokenizerBase, dict[tuple[int, tuple[int, ...]], JSONGrammars]] = (
    weakref.WeakKeyDictionary()
)


class JSONGrammars:
    """Compiles JSON schemas for one tokenizer. Several threads may use it at once.

    Its tables take a second to build; `JSONGrammars.of` keeps them for as long as the tokenizer is in use.

    Parameters
    ----------
    tokenizer
        A tokenizer of transformers.
    vocab_size
        Width of the model's logits.
    stop_token_ids
        The tokens that end an answer.

    Raises
    ------
    MissingExtraError
        If xgrammar is not installed.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocab_size: int, stop_token_ids: Sequence[int]) -> None:
        require_extra("Structured output", "structured", "xgrammar")
        import xgrammar

        info = xgrammar.TokenizerInfo.from_huggingface(
            tokenizer, vocab_size=vocab_size, stop_token_ids=sorted(stop_token_ids)
        )
        self.vocab_size = vocab_size
        self.stop_token_ids = frozenset(stop_token_ids)
        self._info = info
        self._compiler = xgrammar.GrammarCompiler(info, cache_enabled=False)
        self._process = CompilingProcess(info.serialize_json())
        self._compiled: OrderedDict[str, xgrammar.CompiledGrammar] = OrderedDict()
        self._compiling = threading.Lock()
        texts = info.decoded_vocab
        self.token_lengths = np.array([len(text) for text in texts])
        self.closers = [texts.index(text) for text in _CLOSERS if text in texts]
        self.letters = [texts.index(text) for text in _LETTERS if text in texts]
        self.null = texts.index(b"null") if b"null" in texts else None
        # JSON has no control characters in strings, but xgrammar allows most of them where a string has a least length.
        told = np.ones(xgrammar.get_bitmask_shape(1, vocab_size)[1] * 32, dtype=np.uint8)
        told[[token for token, text in enumerate(texts) if any(byte < _FIRST_PRINTABLE for byte in text)]] = 0
        self.printable = torch.from_numpy(np.packbits(told, bitorder="little").view(np.int32))

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, vocab_size: int, stop_token_ids: Sequence[int]) -> JSONGrammars:
        """Return those of a tokenizer, built when they are first asked for."""
        with _building:
            known = _grammars.setdefault(tokenizer, {})
            key = (vocab_size, tuple(sorted(stop_token_ids)))
            if key not in known:
                known[key] = cls(tokenizer, vocab_size, stop_token_ids)
            return known[key]

    def compile(self, schema: Mapping[str, Any]) -> xgrammar.CompiledGrammar:
        """Return the grammar of a JSON schema, on one line, with the properties in the schema's order.

        Schemas that are not small are compiled in another process, with a limit of 10 seconds and 512 MB.

        Raises
        ------
        JSONSchemaError
            If the schema is not one, is too large, or uses what the grammar cannot express.
        """
        text = require_compilable(schema)
        with self._compiling:
            grammar = self._compiled.pop(text, None)
            if grammar is None:
                grammar = self._compile(schema, text)
            self._compiled[text] = grammar  # the last one used is the last one removed
            if len(self._compiled) > _MOST_KEPT:
                self._compiled.popitem(last=False)
        return grammar

    def _compile(self, schema: Mapping[str, Any], text: str) -> xgrammar.CompiledGrammar:
        import xgrammar

        if not compiles_at_once(schema):
            return xgrammar.CompiledGrammar.deserialize_json(self._process.compile(text), self._info)
        try:
            if not schema:
                return self._compiler.compile_builtin_json_grammar()
            return self._compiler.compile_json_schema(text, any_whitespace=False)
        except (RuntimeError, ValueError) as error:
            raise cannot_follow(error, text) from error


class JSONConstraint:
    """Keeps the answers of one request to a schema.

    `mask` must run before the next token is sampled, `guard` after it.

    Parameters
    ----------
    grammars
        Of the model's tokenizer.
    schema
        JSON schema of the answer; an empty one allows any JSON.
    batch_size
        How many sequences are generated.
    max_new_tokens
        Within which each answer must be closed.

    Raises
    ------
    JSONSchemaError
        If the schema cannot be followed.
    ConfigError
        If its shortest answer is longer than `max_new_tokens`.
    """

    def __init__(self, grammars: JSONGrammars, schema: Mapping[str, Any], batch_size: int, max_new_tokens: int) -> None:
        import xgrammar

        grammar = grammars.compile(schema)
        self._rows = [_Row(grammars, xgrammar.GrammarMatcher(grammar)) for _ in range(batch_size)]
        self._left = max_new_tokens
        shortest = self._rows[0].closing
        if len(shortest) > max_new_tokens:
            raise ConfigError(
                f"max_new_tokens={max_new_tokens} is too small: the shortest JSON of this schema takes about "
                f"{len(shortest)} tokens."
            )
        self.mask = _Mask(self._rows)
        self.guard = _Guard(self)

    def choose(self, row: int, scores: torch.Tensor) -> int:
        """Return the likeliest token of `row` from which its JSON can still be closed, and take it."""
        return self._rows[row].choose(int(scores.argmax()), self._left - 1)

    def step(self) -> None:
        """Note that each row has taken a token."""
        self._left -= 1


class _Row:
    """One answer: its position in the grammar, and the tokens that would close it from there."""

    def __init__(self, grammars: JSONGrammars, matcher: xgrammar.GrammarMatcher) -> None:
        import xgrammar

        self.grammars = grammars
        self.matcher = matcher
        self.bitmask = xgrammar.allocate_token_bitmask(1, grammars.vocab_size)
        self.closing = self._close(matcher, limit=4096)

    @property
    def done(self) -> bool:
        """Whether the answer has ended."""
        return bool(self.matcher.is_terminated())

    def allowed(self) -> torch.Tensor:
        """Return the bitmask of tokens that may follow."""
        return self._allowed(self.matcher)

    def _allowed(self, matcher: xgrammar.GrammarMatcher) -> torch.Tensor:
        matcher.fill_next_token_bitmask(self.bitmask)
        return self.bitmask.bitwise_and_(self.grammars.printable)

    def choose(self, candidate: int, left: int) -> int:
        """Take `candidate` if the JSON can be closed within `left` more tokens; else the first closing token."""
        if self.done:
            return candidate
        ahead = self.matcher.fork()
        if ahead.accept_token(candidate):
            closing = [] if ahead.is_terminated() else self._close(ahead, limit=left)
            if len(closing) <= left:
                self.matcher, self.closing = ahead, closing
                return candidate
        token, *self.closing = self.closing
        self.matcher.accept_token(token)
        return token

    def _close(self, matcher: xgrammar.GrammarMatcher, limit: int) -> list[int]:
        """Return tokens that end the JSON from here, its stop token included; more than `limit` if it takes more."""
        matcher = matcher.fork()
        tokens: list[int] = []
        while not matcher.is_terminated() and len(tokens) <= limit:
            tokens.append(self._shortest(self._allowed(matcher)[0].numpy()))
            matcher.accept_token(tokens[-1])
        return tokens

    def _shortest(self, bitmask: np.ndarray) -> int:
        """Choose the allowed token that leads to the end fastest."""

        def allows(token: int) -> bool:
            return bool(bitmask[token // 32] >> (token % 32) & 1)

        for token in self.grammars.stop_token_ids:
            if allows(token):
                return token
        closers = [token for token in self.grammars.closers if allows(token)]
        if closers:
            in_string = any(allows(token) for token in self.grammars.letters)
            return closers[-1 if in_string else 0]
        if self.grammars.null is not None and allows(self.grammars.null):
            return self.grammars.null  # rather than an object, which may hold itself again
        flags = np.unpackbits(bitmask.view(np.uint8), bitorder="little")[: self.grammars.vocab_size]
        # Text that the schema defines, such as the name of a property, is fastest in long tokens.
        lengths = np.where(flags[: len(self.grammars.token_lengths)], self.grammars.token_lengths, -1)
        return int(lengths.argmax())


class _Mask(LogitsProcessor):
    """Hides the tokens that the grammar does not allow."""

    def __init__(self, rows: list[_Row]) -> None:
        self.rows = rows

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        masked = scores.clone()
        width = scores.shape[-1]
        for index, row in enumerate(self.rows):
            if not row.done:
                flags = np.unpackbits(row.allowed()[0].numpy().view(np.uint8), bitorder="little")[:width]
                masked[index, torch.from_numpy(flags == 0).to(scores.device)] = float("-inf")
        return masked


class _Guard(LogitsProcessor):
    """Settles the token of each row, so that the JSON can be closed in time."""

    def __init__(self, constraint: JSONConstraint) -> None:
        self.constraint = constraint

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        settled = torch.full_like(scores, float("-inf"))
        for index, row in enumerate(scores):
            settled[index, self.constraint.choose(index, row)] = 0
        self.constraint.step()
        return settled
