"""From messages to token ids: the template applied and tokenized once, and its control tokens kept its own.

What users and documents write is text: where it spells a control token of the model (``<|im_end|>``), or would
become one because the tokenizer normalizes text, the spelling is kept and the token is not. Such spellings, in keys of
mappings too, are replaced by placeholders before the template is applied, and tokenized in parts, none of which is the
token, afterwards. Text without any is tokenized exactly as transformers would.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import re
import threading
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sra_rag.errors import PromptError
from sra_rag.evidence.statements import paragraphs, statements
from sra_rag.generation.text import well_formed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["EncodedPrompt", "Message", "Prompt", "PromptEncoder"]

Message = Mapping[str, Any]
Span = tuple[int, int]

# Unicode noncharacters: never assigned, so no document has a use for them.
_OPEN, _CLOSE = "\U0010fffe", "\U0010ffff"
_PLACEHOLDER = re.compile(f"{_OPEN}([0-9]{{1,7}}(?:,[0-9]{{1,7}})*){_CLOSE}")  # code points of what it replaces
_LAST_CODE_POINT = 0x10FFFF


@dataclasses.dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A prompt as the model sees it.

    Parameters
    ----------
    token_ids
        The prompt, control tokens included.
    context_length
        How many leading tokens belong to the context; the question begins after them.
    passages
        The first token of each passage of the context and the one after its last.
    lines
        The same for the lines of each passage.
    candidates
        Indices of the passages that evidence is chosen from; empty for all.
    """

    token_ids: tuple[int, ...]
    context_length: int
    passages: tuple[Span, ...] = ()
    lines: tuple[tuple[Span, ...], ...] = ()
    candidates: tuple[int, ...] = ()

    @property
    def has_passages(self) -> bool:
        """Whether there are passages to choose from, and a question to choose by."""
        return len(self.passages) > 1 and self.context_length < len(self.token_ids)


Prompt = str | Sequence[Message] | EncodedPrompt


class _Mark(NamedTuple):
    """A position in a text. Where it opens a span, a token that reaches over it belongs to the span."""

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
        controls = _control_tokens(tokenizer)
        self._spelling = _any_of({*controls, _OPEN})  # a placeholder that was in the text stays text too
        self._written = _any_of(controls) if controls else None
        # The token for text that is not in the vocabulary is not a control token.
        self._control_ids = set(tokenizer.convert_tokens_to_ids(sorted(controls))) - {tokenizer.unk_token_id}
        # The slow tokenizers of transformers have no normalizer that could be asked: see `_check_controls`.
        self._normalizer = tokenizer.backend_tokenizer.normalizer if tokenizer.is_fast else None
        normalized = {self._normalize(text) for text in controls} | controls
        self._normalized_spelling = _any_of({text for text in normalized if text.strip()}) if controls else None
        # Tokenizers reconfigure themselves when they are called with other options than last time.
        self._tokenizing = threading.Lock()

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
        template_kwargs: Mapping[str, Any] | None = None,
    ) -> EncodedPrompt:
        """Turn messages (through the chat template) or plain text into tokens; tokens stay what they are."""
        if isinstance(prompt, EncodedPrompt):
            return prompt
        if isinstance(prompt, str):
            return self.encode_text(prompt, context=context, passages=passages)
        return self.encode_messages(prompt, context=context, passages=passages, template_kwargs=template_kwargs)

    def shield(self, text: str) -> str:
        """Replace spellings of control tokens by placeholders that `encode_rendered` turns back into plain text.

        Text that the tokenizer's normalizer would turn into such a spelling (full-width or upper-case letters, for
        example) is replaced as well. Halves of surrogate pairs become U+FFFD.
        """
        shielded = self._spelling.sub(lambda match: _placeholder(match[0]), well_formed(text))
        if self._normalizer is None:
            return shielded
        pieces = _pieces(shielded)
        pieces[::2] = map(self._shield_normalized, pieces[::2])
        pieces[1::2] = [f"{_OPEN}{piece}{_CLOSE}" for piece in pieces[1::2]]
        return "".join(pieces)

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
            The text whose end is the end of the context, as it is in one of the messages; by default everything
            before the last user message is the context.
        passages
            Texts within the context, in the order in which they are in it; by default its paragraphs, or those of the
            earlier messages.
        template_kwargs
            Passed on to the template, such as ``tools``.

        Raises
        ------
        PromptError
            If the tokenizer has no chat template, the template refuses the messages, or `context` or a passage is in
            none.
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
                shielded, tokenize=False, add_generation_prompt=True, **self._shield_all(dict(template_kwargs or {}))
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
        """Tokenize text that a template made, whose control tokens count.

        Parameters
        ----------
        rendered
            The text; spellings inside documents must have been `shield`-ed before.
        context, passages
            As in `encode_messages`; by default nothing is context.
        add_bos
            Put the special tokens in front that the tokenizer puts in front of text, unless they are there already.
        """
        span = self._context_span(rendered, context)
        encoded = self._encode(rendered, span[1], self._passage_spans(rendered, span, passages))
        if not add_bos:
            return encoded
        with self._tokenizing:
            front = list(self.tokenizer("", add_special_tokens=True).input_ids)
        if len(front) > 1 and front[-1] == self.tokenizer.eos_token_id:
            front.pop()  # an end token would precede the beginning
        if not front or list(encoded.token_ids[: len(front)]) == front:
            return encoded
        n = len(front)
        moved = tuple((first + n, last + n) for first, last in encoded.passages)
        by_passage = tuple(tuple((first + n, last + n) for first, last in spans) for spans in encoded.lines)
        return EncodedPrompt((*front, *encoded.token_ids), encoded.context_length + n, moved, by_passage)

    def _shield_message(self, message: Message) -> dict[str, Any]:
        content = message.get("content")
        if content is None:
            content = ""
        if not isinstance(content, str):
            kind = type(content).__name__
            raise PromptError(f"The content of a {message.get('role')!r} message is a {kind}. Only text is supported.")
        return {**self._shield_all(dict(message)), "content": self.shield(content)}

    def _shield_all(self, value: Any) -> Any:
        """Shield every text within lists and mappings, such as the arguments of a tool call, and every key."""
        if isinstance(value, str):
            return self.shield(value)
        if isinstance(value, Mapping):
            return {self._shield_all(key): self._shield_all(item) for key, item in value.items()}
        return [self._shield_all(item) for item in value] if isinstance(value, list | tuple) else value

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

    def _context_span(self, rendered: str, context: str | None) -> Span:
        if not context:
            return 0, 0
        # Templates may trim what they are given.
        for candidate in (self.shield(context), self.shield(context.strip())):
            start = rendered.rfind(candidate)
            if start >= 0:
                return start, start + len(candidate)
        raise PromptError(
            "The context is not in the prompt as it was given, so its end is unknown. Pass the very text "
            "that the message holds."
        )

    def _encode(self, rendered: str, context_end: int, passage_spans: Sequence[Span]) -> EncodedPrompt:
        line_spans = [
            [(first + start, first + stop) for start, stop in statements(rendered[first:last])]
            for first, last in passage_spans
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
        """Find the characters of each passage; of the context's paragraphs where no passages are given."""
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
                    "Pass the very texts that the context holds, in its order."
                )
            position = start + len(text)
            spans.append((start, position))
        return spans

    def _encode_pieces(self, rendered: str, marks: Sequence[_Mark]) -> tuple[list[int], list[int]]:
        """Tokenize; also count the tokens before each of `marks`."""
        token_ids: list[int] = []
        counts = [0] * len(marks)
        position = 0
        pieces = _pieces(rendered)
        for index, piece in enumerate(pieces):
            if index % 2:
                text = _replaced(piece)
                piece_ids = [*self._plain_ids(text[:1]), *self._plain_ids(text[1:])]
                length = len(piece) + len(_OPEN) + len(_CLOSE)
                before = [len(piece_ids) if position + length <= mark.character else 0 for mark in marks]
            else:
                piece_ids = self._ids(piece)
                length = len(piece)
                moved = [_Mark(mark.character - position, mark.opens) for mark in marks]
                before = self._tokens_before(piece, piece_ids, moved)
            counts = [count + more for count, more in zip(counts, before, strict=True)]
            token_ids += piece_ids
            position += length
        self._check_controls(pieces[::2], token_ids)
        return token_ids, counts

    def _plain_ids(self, text: str) -> list[int]:
        """Tokenize text in as many parts as it takes for none to be a control token."""
        ids = self._ids(text)
        if self._control_ids.isdisjoint(ids):
            return ids
        if len(text) == 1:
            text = self._normalize(text)  # one character may become a whole token
        if len(text) <= 1:
            return ids  # refused by `_check_controls`
        return [*self._plain_ids(text[:1]), *self._plain_ids(text[1:])]

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False).input_ids) if text else []

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
            known = {mark: min(len(ids), len(self._ids(text[: mark.character]))) for mark in inside}
        return [
            0 if mark.character <= 0 else len(ids) if mark.character >= len(text) else known[mark] for mark in marks
        ]

    def _check_controls(self, texts: Sequence[str], token_ids: list[int]) -> None:
        """Make sure that only the template's own control tokens came out, whatever the tokenizer normalizes.

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


def _paragraphs_of(messages: Sequence[Mapping[str, Any]], rendered: str, end: int) -> list[Span]:
    """Find the paragraphs of messages in what a template made of them; what the template adds is none."""
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
    """Give a token that two spans share to the first of them; None for a span without its own token."""
    apart: list[Span | None] = []
    end = 0
    for first, last in spans:
        first = max(first, end)
        apart.append((first, last) if first < last else None)
        end = max(end, last)
    return apart


def _control_tokens(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Return the spellings that text must not become tokens by.

    They are the special tokens, what the chat template writes, and every other added token in brackets or the like,
    such as ``<think>``. Added words are none: they are a vocabulary.
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


def _pieces(rendered: str) -> list[str]:
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
