"""Arguments of a request, and the validated request."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from sra_rag.attention.shares import AttentionShares
from sra_rag.config import SRAConfig, SRALike
from sra_rag.errors import ConfigError, ContextOverflowError
from sra_rag.generation.prompts import EncodedPrompt, Prompt
from sra_rag.generation.sampling import SamplingOptions

__all__ = ["Cancellation", "LinkedCancellation", "Request", "RequestArguments", "read_request"]

Cancellation = threading.Event


class LinkedCancellation(threading.Event):
    """An event that is also set if another event is set.

    Each request has its own event, which is set when its reader stops. The event of the caller may be shared by several
    requests, and is only read.

    Parameters
    ----------
    other
        Event of the caller, or None.
    """

    def __init__(self, other: Cancellation | None) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        """Return whether this event or the event of the caller is set."""
        return super().is_set() or (self._other is not None and self._other.is_set())


class RequestArguments(TypedDict, total=False):
    """Keyword arguments of `Engine.generate` and similar methods; all are optional.

    Parameters
    ----------
    context
        Text in the prompt that ends the context, for ``rows="after_context"`` and evidence; see
        `PromptEncoder.encode_messages`.
    passages
        The passages of the context, in order, for evidence; by default its paragraphs.
    passage_scores
        How well each of `passages` fits the question by the search that found it, such as cosines; only their order
        counts. The first of them is one of those that evidence is chosen by. By default not known.
    template_kwargs
        Arguments for the chat template, such as ``tools``.
    sra
        Attention settings of this request; by default those of the model. None is off.
    options
        Sampling options of this request; by default those of the engine.
    cancel
        An event that stops the request within one token when it is set, from any thread.
    shares
        Collector of the attention shares of the answer, with or without `sra`; for single prompts only.

    The other arguments override single options, see `SamplingOptions`.
    """

    context: str | None
    passages: Sequence[str] | None
    passage_scores: Sequence[float] | None
    template_kwargs: Mapping[str, Any] | None
    sra: SRALike
    options: SamplingOptions | None
    cancel: Cancellation | None
    shares: AttentionShares | None

    max_new_tokens: int
    temperature: float
    top_k: int | None
    top_p: float | None
    min_p: float | None
    typical_p: float | None
    repetition_penalty: float
    stop: str | Sequence[str]
    seed: int | None
    json_schema: Mapping[str, Any] | None
    stop_repetition: bool
    timeout: float | None
    extra: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A validated request with encoded prompts.

    Parameters
    ----------
    prompts
        Encoded prompts, one per sequence of the batch.
    sra, options
        Effective attention settings and sampling options.
    cancel
        Event that stops the generation.
    on_text
        Called with each piece of text: index of the sequence, text.
    shares
        Collector of the attention shares of the answer.
    """

    prompts: tuple[EncodedPrompt, ...]
    sra: SRAConfig | None
    options: SamplingOptions
    cancel: Cancellation
    on_text: Callable[[int, str], None] | None = None
    shares: AttentionShares | None = None


def read_request(
    prompts: Sequence[Prompt],
    arguments: RequestArguments,
    contexts: Sequence[str | None] | None = None,
    passage_lists: Sequence[Sequence[str] | None] | None = None,
    score_lists: Sequence[Sequence[float] | None] | None = None,
    *,
    encode: Callable[..., EncodedPrompt],
    sra: SRAConfig | None,
    options: SamplingOptions,
    context_window: int,
) -> Request:
    """Validate the arguments of a request, and encode its prompts.

    Parameters
    ----------
    prompts, arguments, contexts, passage_lists, score_lists
        Arguments of the engine's method.
    encode
        Function of the engine that encodes a prompt.
    sra, options
        Default attention settings and sampling options.
    context_window
        Maximum number of tokens of prompt and answer together.

    Raises
    ------
    ConfigError, PromptError
        If a setting or a prompt is not allowed.
    ContextOverflowError
        If a prompt and its answer exceed the context window.
    """
    changes: dict[str, Any] = dict(arguments)
    context, passages = changes.pop("context", None), changes.pop("passages", None)
    scores, template_kwargs = changes.pop("passage_scores", None), changes.pop("template_kwargs", None)
    sra = SRAConfig.coerce(changes.pop("sra")) if "sra" in changes else sra
    shares = changes.pop("shares", None)
    options = changes.pop("options", None) or options
    cancel = LinkedCancellation(changes.pop("cancel", None))
    options = options.replace(**changes) if changes else options
    contexts = contexts or [context] * len(prompts)
    passage_lists = passage_lists or [passages] * len(prompts)
    score_lists = score_lists or [scores] * len(prompts)
    encoded = tuple(
        encode(
            prompt,
            context=its_context,
            passages=its_passages,
            passage_scores=its_scores,
            template_kwargs=template_kwargs,
        )
        for prompt, its_context, its_passages, its_scores in zip(
            prompts, contexts, passage_lists, score_lists, strict=True
        )
    )
    longest = max(len(prompt.token_ids) for prompt in encoded)
    if longest == 0:
        raise ConfigError("The prompt is empty. Give at least one token of text.")
    if longest + options.max_new_tokens > context_window:
        raise ContextOverflowError(longest, options.max_new_tokens, context_window)
    return Request(encoded, sra, options, cancel, shares=shares)
