"""From messages to token ids: the chat template is applied and tokenized once, with the spans of passages and lines.

Text of users and documents never becomes a control token of the model; see `sra_rag.generation.control_tokens`. Text
without spellings of control tokens is tokenized exactly as by transformers.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import itertools
import math
import numbers
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sra_rag.errors import PromptError
from sra_rag.evidence.statements import lines_of_passages, paragraphs
from sra_rag.generation.control_tokens import ControlTokens, divided, placeholder_length

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["EncodedPrompt", "Message", "Prompt", "PromptEncoder"]

Message = Mapping[str, Any]
Span = tuple[int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A prompt as the model sees it.

    Parameters
    ----------
    token_ids
        The prompt, control tokens included.
    context_length
        Number of tokens at the beginning that belong to the context; the question follows them.
    passages
        The first token of each passage of the context and the one after its last.
    lines
        The same for the lines of each passage, without its name and the running heads of pages.
    candidates
        Indices of the passages that evidence is chosen from; empty for all.
    scores
        How well each passage fits the question by the search that found it; empty if not known.
    """

    token_ids: tuple[int, ...]
    context_length: int
    passages: tuple[Span, ...] = ()
    lines: tuple[tuple[Span, ...], ...] = ()
    candidates: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()

    @property
    def has_passages(self) -> bool:
        """Whether there are passages to choose from, or lines of the only one, and a question to choose by."""
        parts = self.lines[0] if len(self.passages) == 1 and self.lines else self.passages
        return len(parts) > 1 and self.context_length < len(self.token_ids)


Prompt = str | Sequence[Message] | EncodedPrompt


class _Mark(NamedTuple):
    """A position in a text. If it opens a span, a token that crosses it belongs to the span."""

    character: int
    opens: bool = False


class PromptEncoder:
    """Turns messages or text into token ids for one tokenizer. Several threads may use it at once.

    Parameters
    ----------
    tokenizer
        A tokenizer of transformers. It is only read.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        # Tokenizers reconfigure themselves when they are called with other options than last time.
        self._tokenizing = threading.Lock()
        self._controls = ControlTokens(tokenizer, self._tokenizing)

    @property
    def has_chat_template(self) -> bool:
        """Whether messages can be encoded."""
        return bool(self.tokenizer.chat_template)

    def encode(
        self,
        prompt: Prompt,
        *,
        context: str | None = None,
        passages: Sequence[str] | None = None,
        passage_scores: Sequence[float] | None = None,
        template_kwargs: Mapping[str, Any] | None = None,
    ) -> EncodedPrompt:
        """Turn messages (through the chat template) or plain text into tokens; tokens stay what they are.

        Raises
        ------
        PromptError
            If the text of the context or of a passage is not found in the prompt, or `passage_scores` are not one
            number for each of `passages`.
        """
        if isinstance(prompt, EncodedPrompt):
            return prompt
        scores = _checked_scores(passage_scores, passages)
        if isinstance(prompt, str):
            encoded = self.encode_text(prompt, context=context, passages=passages)
        else:
            encoded = self.encode_messages(prompt, context=context, passages=passages, template_kwargs=template_kwargs)
        # A passage without a token is left out; which one is not known here.
        return dataclasses.replace(encoded, scores=scores) if len(scores) == len(encoded.passages) else encoded

    def shield(self, text: str) -> str:
        """Replace spellings of control tokens by placeholders that `encode_rendered` turns back into plain text.

        See `sra_rag.generation.control_tokens.ControlTokens.shield`.
        """
        return self._controls.shield(text)

    def encode_messages(
        self,
        messages: Sequence[Message],
        *,
        context: str | None = None,
        passages: Sequence[str] | None = None,
        template_kwargs: Mapping[str, Any] | None = None,
    ) -> EncodedPrompt:
        """Apply the chat template and tokenize, once, without further special tokens.

        Parameters
        ----------
        messages
            Mappings with ``role`` and ``content`` (a string); other keys, such as ``tool_calls``, go to the
            template too.
        context
            The text whose end is the end of the context, exactly as in one of the messages; by default everything
            before the last user message is the context.
        passages
            Texts within the context, in its order; by default its paragraphs, or those of the earlier messages.
        template_kwargs
            Passed on to the template, such as ``tools``.

        Raises
        ------
        PromptError
            If the tokenizer has no chat template, the template refuses the messages, or `context` or a passage is in
            no message.
        """
        if not self.has_chat_template:
            raise PromptError(
                "The tokenizer has no chat template. Give the prompt as text, or set tokenizer.chat_template."
            )
        if not messages:
            raise PromptError("There are no messages. Give at least one, such as {'role': 'user', 'content': ...}.")
        shielded = [self._shield_message(message) for message in messages]
        try:
            rendered = self.tokenizer.apply_chat_template(
                shielded,
                tokenize=False,
                add_generation_prompt=True,
                **self._controls.shield_all(dict(template_kwargs or {})),
            )
        except Exception as error:  # jinja2 and the templates themselves raise what they like
            raise PromptError(f"The chat template refuses these messages: {error}") from error
        if context is not None:
            return self.encode_rendered(rendered, context=context, passages=passages)
        question = next((m["content"] for m in reversed(shielded) if m.get("role") == "user"), "")
        end = max(0, rendered.rfind(question)) if question else 0
        if passages is None:
            return self._encode(rendered, end, _paragraphs_of(shielded, rendered, end))
        return self._encode(rendered, end, self._passage_spans(rendered, (0, end), passages))

    def encode_text(
        self, text: str, *, context: str | None = None, passages: Sequence[str] | None = None
    ) -> EncodedPrompt:
        """Tokenize plain text, none of which is a control token, after the tokenizer's own BOS if it has one."""
        return self.encode_rendered(self.shield(text), context=context, passages=passages, add_bos=True)

    def encode_rendered(
        self,
        rendered: str,
        *,
        context: str | None = None,
        passages: Sequence[str] | None = None,
        add_bos: bool = False,
    ) -> EncodedPrompt:
        """Tokenize the output of a template, whose control tokens are kept.

        Parameters
        ----------
        rendered
            The text; spellings inside documents must have been `shield`-ed before.
        context, passages
            As in `encode_messages`; by default nothing is context.
        add_bos
            Add the special tokens that the tokenizer adds before text, unless they are there already.
        """
        span = self._context_span(rendered, context)
        encoded = self._encode(rendered, span[1], self._passage_spans(rendered, span, passages))
        if not add_bos:
            return encoded
        front = self._front
        if not front or encoded.token_ids[: len(front)] == front:
            return encoded
        n = len(front)
        moved = tuple((first + n, last + n) for first, last in encoded.passages)
        by_passage = tuple(tuple((first + n, last + n) for first, last in spans) for spans in encoded.lines)
        return EncodedPrompt((*front, *encoded.token_ids), encoded.context_length + n, moved, by_passage)

    @functools.cached_property
    def _front(self) -> tuple[int, ...]:
        """The special tokens that the tokenizer adds before text."""
        with self._tokenizing:
            front = list(self.tokenizer("", add_special_tokens=True).input_ids)
        if len(front) > 1 and front[-1] == self.tokenizer.eos_token_id:
            front.pop()  # an end token would precede the beginning
        return tuple(front)

    def _shield_message(self, message: Message) -> dict[str, Any]:
        content = message.get("content")
        if content is None:
            content = ""
        if not isinstance(content, str):
            kind = type(content).__name__
            raise PromptError(f"The content of a {message.get('role')!r} message is a {kind}. Only text is supported.")
        return {**self._controls.shield_all(dict(message)), "content": self.shield(content)}

    def _context_span(self, rendered: str, context: str | None) -> Span:
        if not context:
            return 0, 0
        # Templates may trim what they are given.
        for candidate in (self.shield(context), self.shield(context.strip())):
            start = rendered.rfind(candidate)
            if start >= 0:
                return start, start + len(candidate)
        raise PromptError(
            "The context is not in the prompt as it was given, so its end is unknown. Pass exactly the text "
            "of the message."
        )

    def _encode(self, rendered: str, context_end: int, passage_spans: Sequence[Span]) -> EncodedPrompt:
        lines = lines_of_passages([rendered[first:last] for first, last in passage_spans])
        line_spans = [
            [(first + start, first + stop) for start, stop in of_passage]
            for (first, _), of_passage in zip(passage_spans, lines, strict=True)
        ]
        spans = [*passage_spans, *itertools.chain(*line_spans)]
        marks = [
            _Mark(context_end),
            *(mark for first, last in spans for mark in (_Mark(first, opens=True), _Mark(last))),
        ]
        with self._tokenizing:
            token_ids, counts = self._encode_pieces(rendered, marks)
        token_spans = iter(zip(counts[1::2], counts[2::2], strict=True))
        passage_tokens = _apart(itertools.islice(token_spans, len(passage_spans)))
        line_tokens = [_apart(itertools.islice(token_spans, len(spans))) for spans in line_spans]
        kept = [number for number, span in enumerate(passage_tokens) if span is not None]
        return EncodedPrompt(
            tuple(token_ids),
            counts[0],
            tuple(span for span in passage_tokens if span is not None),
            tuple(tuple(span for span in line_tokens[number] if span is not None) for number in kept),
        )

    def _passage_spans(self, rendered: str, context: Span, passages: Sequence[str] | None) -> list[Span]:
        """Find the characters of each passage, or of the paragraphs of the context without passages."""
        position, end = context
        if passages is None:
            return [(position + first, position + last) for first, last in paragraphs(rendered[position:end])]
        spans = []
        for number, passage in enumerate(passages, start=1):
            text = self.shield(passage.strip())
            start = rendered.find(text, position, end)
            if start < 0:
                raise PromptError(
                    f"Passage {number} ({passage[:60]!r}) is not in the context, or not after the passage before it. "
                    "Pass exactly the texts of the context, in its order."
                )
            position = start + len(text)
            spans.append((start, position))
        return spans

    def _encode_pieces(self, rendered: str, marks: Sequence[_Mark]) -> tuple[list[int], list[int]]:
        """Tokenize; also count the tokens before each of `marks`."""
        token_ids: list[int] = []
        counts = [0] * len(marks)
        position = 0
        pieces = divided(rendered)
        for index, piece in enumerate(pieces):
            if index % 2:
                piece_ids = self._controls.spelled_ids(piece)
                length = placeholder_length(piece)
                before = [len(piece_ids) if position + length <= mark.character else 0 for mark in marks]
            else:
                piece_ids = self._controls.ids(piece)
                length = len(piece)
                moved = [_Mark(mark.character - position, mark.opens) for mark in marks]
                before = self._tokens_before(piece, piece_ids, moved)
            counts = [count + more for count, more in zip(counts, before, strict=True)]
            token_ids += piece_ids
            position += length
        self._controls.check(pieces[::2], token_ids)
        return token_ids, counts

    def _tokens_before(self, text: str, ids: list[int], marks: Sequence[_Mark]) -> list[int]:
        """Count the tokens of `text` before each mark, which may be outside it."""
        inside = {mark for mark in marks if 0 < mark.character < len(text)}
        if inside and self.tokenizer.is_fast:
            offsets = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True).offset_mapping
            begins, ends = [begin for begin, _ in offsets], [end for _, end in offsets]
            known = {
                mark: bisect.bisect_right(ends, mark.character)
                if mark.opens
                else bisect.bisect_left(begins, mark.character)
                for mark in inside
            }
        else:
            known = {mark: min(len(ids), len(self._controls.ids(text[: mark.character]))) for mark in inside}
        return [
            0 if mark.character <= 0 else len(ids) if mark.character >= len(text) else known[mark] for mark in marks
        ]


def _paragraphs_of(messages: Sequence[Mapping[str, Any]], rendered: str, end: int) -> list[Span]:
    """Find the paragraphs of messages in the rendered prompt, without the text that the template adds."""
    spans: list[Span] = []
    position = 0
    for message in messages:
        content = message["content"].strip()
        start = rendered.find(content, position, end) if content else -1
        if start >= 0:
            position = start + len(content)
            spans += [(start + first, start + last) for first, last in paragraphs(content)]
    return spans


def _apart(spans: Iterable[Span]) -> list[Span | None]:
    """Assign a token that two spans share to the first one; None for a span without a token."""
    apart: list[Span | None] = []
    end = 0
    for first, last in spans:
        first = max(first, end)
        apart.append((first, last) if first < last else None)
        end = max(end, last)
    return apart


def _checked_scores(scores: Sequence[float] | None, passages: Sequence[str] | None) -> tuple[float, ...]:
    if scores is None:
        return ()
    if passages is None or len(scores) != len(passages):
        given = "no passages" if passages is None else f"{len(passages)} passages"
        raise PromptError(f"There are {len(scores)} passage_scores and {given}. Give one score for each passage.")
    for score in scores:
        if not isinstance(score, numbers.Real) or not math.isfinite(score):
            raise PromptError(f"The passage score {score!r} is not allowed. Give finite numbers.")
    return tuple(map(float, scores))
