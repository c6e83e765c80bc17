"""Generate with sharpened attention: one core path for blocking, streaming and async callers.

`Engine._run` does all the work, in the thread that calls it: encode, look for a prefill to reuse, prefill in
chunks, decode with transformers' own ``generate``. Streams run it in a thread of their own and hand over its
text; an exception there is raised in the reader, and a reader that goes away stops it within one token.
"""

from __future__ import annotations

import asyncio
import copy
import queue
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import Any

import torch
from transformers import DynamicCache, GenerationConfig, StoppingCriteria, StoppingCriteriaList

from sra_rag.attention.reattend import reattend
from sra_rag.config import SRAConfig, SRALike
from sra_rag.errors import ConfigError, ContextOverflowError
from sra_rag.generation.prefix_cache import PrefixCache
from sra_rag.generation.prompts import EncodedPrompt, Message, PromptEncoder
from sra_rag.generation.result import FinishReason, Generation, TextDelta, Timing, Usage
from sra_rag.generation.sampling import SamplingOptions, logits_processors
from sra_rag.generation.text import TextAssembler
from sra_rag.models.loading import LoadedModel

__all__ = ["Cancellation", "Engine", "Prompt"]

Prompt = str | Sequence[Message] | EncodedPrompt
Cancellation = threading.Event

_DEFAULT = object()
_PREFILL_CHUNK = 1024  # tokens; between chunks a request can be cancelled, and activations stay small


class Engine:
    """Answers prompts with one loaded model. Several threads may use it at once.

    Parameters
    ----------
    model
        From `sra_rag.load_model`.
    options
        Options of requests that bring none.
    max_prefixes
        How many earlier prefills are kept for reuse, in the model's memory; 0 keeps none.
    stop_token_ids
        Tokens that end an answer, beside those the model names itself.
    """

    def __init__(
        self,
        model: LoadedModel,
        *,
        options: SamplingOptions | None = None,
        max_prefixes: int = 2,
        stop_token_ids: Sequence[int] = (),
        context_window: int | None = None,
    ) -> None:
        self.loaded = model
        self.options = options or SamplingOptions()
        self.prefixes = PrefixCache(max_prefixes)
        self.encoder = PromptEncoder(model.tokenizer)
        self.context_window = min(context_window or sys.maxsize, model.context_window)
        self._stop_token_ids = frozenset((*_end_tokens(model), *stop_token_ids))
        # Tokenizers reconfigure themselves when they are called with other options than last time.
        self._encoding = threading.Lock()

    def encode(
        self,
        prompt: Prompt,
        *,
        context: str | None = None,
        template_kwargs: Mapping[str, Any] | None = None,
    ) -> EncodedPrompt:
        """Turn messages (through the chat template) or plain text into tokens.

        Parameters
        ----------
        prompt
            Messages, text, or tokens already.
        context
            Text at whose end the context ends, for ``rows="after_context"``; see `PromptEncoder.encode_messages`.
        template_kwargs
            Passed on to the chat template.
        """
        if isinstance(prompt, EncodedPrompt):
            return prompt
        with self._encoding:
            if isinstance(prompt, str):
                return self.encoder.encode_text(prompt, context=context)
            return self.encoder.encode_messages(prompt, context=context, template_kwargs=template_kwargs)

    def generate(
        self,
        prompt: Prompt,
        *,
        context: str | None = None,
        sra: SRALike | object = _DEFAULT,
        options: SamplingOptions | None = None,
        cancel: Cancellation | None = None,
        **changes: Any,
    ) -> Generation:
        """Answer one prompt.

        Parameters
        ----------
        prompt
            Messages (mappings with ``role`` and ``content``), plain text, or an `EncodedPrompt`.
        context
            Text in the prompt at whose end the context ends, for ``rows="after_context"``.
        sra
            Settings for this request; by default the model's. None is off.
        options
            Options for this request; by default the engine's.
        cancel
            An event that ends the request within one token when it is set, from any thread.
        **changes
            Single options changed, such as ``temperature=0.7`` or ``stop=("END",)``.

        Raises
        ------
        ContextOverflowError
            If prompt and answer do not fit the model's window.
        ConfigError, PromptError
            If a setting or the prompt is not allowed.
        """
        return self.generate_batch([prompt], contexts=[context], sra=sra, options=options, cancel=cancel, **changes)[0]

    def generate_batch(
        self,
        prompts: Sequence[Prompt],
        *,
        contexts: Sequence[str | None] | None = None,
        sra: SRALike | object = _DEFAULT,
        options: SamplingOptions | None = None,
        cancel: Cancellation | None = None,
        **changes: Any,
    ) -> list[Generation]:
        """Answer several prompts in one batch; the arguments are those of `generate`."""
        if not prompts:
            return []
        contexts = contexts or [None] * len(prompts)
        encoded = [self.encode(p, context=c) for p, c in zip(prompts, contexts, strict=True)]
        return self._run(encoded, self._sra(sra), self._options(options, changes), cancel or Cancellation(), None)

    def stream(
        self,
        prompt: Prompt,
        *,
        context: str | None = None,
        sra: SRALike | object = _DEFAULT,
        options: SamplingOptions | None = None,
        cancel: Cancellation | None = None,
        **changes: Any,
    ) -> Generator[TextDelta, None, None]:
        """Answer one prompt piece by piece; the last piece carries the whole `Generation`.

        The arguments are checked at the call, before the first piece is asked for. Closing the iterator, or
        dropping it, ends the work.
        """
        request = self._prepare(prompt, context, sra, options, changes)
        return self._stream(request, cancel or Cancellation())

    async def agenerate(
        self,
        prompt: Prompt,
        *,
        context: str | None = None,
        sra: SRALike | object = _DEFAULT,
        options: SamplingOptions | None = None,
        cancel: Cancellation | None = None,
        **changes: Any,
    ) -> Generation:
        """Answer one prompt without blocking the event loop; cancelling the task ends the work."""
        async with aclosing(
            self.astream(prompt, context=context, sra=sra, options=options, cancel=cancel, **changes)
        ) as deltas:
            async for delta in deltas:
                if delta.generation is not None:
                    return delta.generation
        raise RuntimeError("The stream ended without an answer.")  # pragma: no cover - _stream always ends with one

    async def astream(
        self,
        prompt: Prompt,
        *,
        context: str | None = None,
        sra: SRALike | object = _DEFAULT,
        options: SamplingOptions | None = None,
        cancel: Cancellation | None = None,
        **changes: Any,
    ) -> AsyncGenerator[TextDelta, None]:
        """Answer one prompt piece by piece without blocking the event loop."""
        loop = asyncio.get_running_loop()
        cancel = cancel or Cancellation()
        arrived: asyncio.Queue[TextDelta | BaseException] = asyncio.Queue()

        def work() -> None:
            try:
                request = self._prepare(prompt, context, sra, options, changes)
                with closing(self._stream(request, cancel)) as deltas:
                    for delta in deltas:
                        loop.call_soon_threadsafe(arrived.put_nowait, delta)
            except BaseException as error:
                loop.call_soon_threadsafe(arrived.put_nowait, error)

        threading.Thread(target=work, name="sra-rag-astream", daemon=True).start()
        try:
            while True:
                item = await arrived.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
                if item.generation is not None:
                    return
        finally:
            cancel.set()

    def _prepare(
        self,
        prompt: Prompt,
        context: str | None,
        sra: SRALike | object,
        options: SamplingOptions | None,
        changes: Mapping[str, Any],
    ) -> tuple[EncodedPrompt, SRAConfig | None, SamplingOptions]:
        chosen = self._options(options, changes)
        encoded = self.encode(prompt, context=context)
        self._check_window([encoded], chosen)
        return encoded, self._sra(sra), chosen

    def _stream(
        self, request: tuple[EncodedPrompt, SRAConfig | None, SamplingOptions], cancel: Cancellation
    ) -> Generator[TextDelta, None, None]:
        encoded, sra, options = request
        arrived: queue.SimpleQueue[TextDelta | BaseException] = queue.SimpleQueue()

        def work() -> None:
            try:
                [generation] = self._run([encoded], sra, options, cancel, lambda _, text: arrived.put(TextDelta(text)))
                arrived.put(TextDelta("", generation))
            except BaseException as error:
                arrived.put(error)

        worker = threading.Thread(target=work, name="sra-rag-stream", daemon=True)
        worker.start()
        try:
            while True:
                item = arrived.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
                if item.generation is not None:
                    return
        finally:
            cancel.set()
            worker.join()

    @torch.inference_mode()
    def _run(
        self,
        prompts: Sequence[EncodedPrompt],
        sra: SRAConfig | None,
        options: SamplingOptions,
        cancel: Cancellation,
        on_text: Callable[[int, str], None] | None,
    ) -> list[Generation]:
        self._check_window(prompts, options)
        longest = max(len(prompt.token_ids) for prompt in prompts)
        if longest == 0:
            raise ConfigError("The prompt is empty. Give at least one token of text.")
        padding = [longest - len(prompt.token_ids) for prompt in prompts]
        model, tokenizer = self.loaded.model, self.loaded.tokenizer
        pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(self._stop_token_ids, default=0)
        rows = [[pad_id] * pad + list(prompt.token_ids) for pad, prompt in zip(padding, prompts, strict=True)]
        input_ids = torch.tensor(rows, device=self.loaded.device)
        mask = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in padding], device=self.loaded.device)
        context = [pad + prompt.context_length for pad, prompt in zip(padding, prompts, strict=True)]

        ends = self._stop_token_ids | set(_as_list(options.extra.get("eos_token_id")))
        monitor = _Monitor([TextAssembler(tokenizer, options.stop) for _ in prompts], longest, ends, cancel, on_text)
        alone = len(prompts) == 1
        untouched, settings = _dependence(sra, context[0], longest)
        with reattend(model, sra, context_length=context, prompt_length=longest):
            cache, cached = None, 0
            if alone:
                cache, cached = self.prefixes.take(input_ids[0].tolist(), untouched, settings, model.config)
                if sra is None or sra.bounds != "observed":  # those are bounds of the whole prompt, not of a chunk
                    self._prefill(input_ids, cache, cached, cancel)
            if not cancel.is_set():
                output = model.generate(
                    input_ids,
                    attention_mask=mask,
                    past_key_values=cache,
                    generation_config=self._generation_config(options, pad_id, ends),
                    logits_processor=logits_processors(options, len(prompts)),
                    stopping_criteria=StoppingCriteriaList([monitor]),
                )
                if alone and cache is not None:
                    self.prefixes.put(output[0].tolist(), untouched, settings, cache)
        timing = monitor.timing()
        return [
            Generation(
                text=assembler.text,
                finish_reason=monitor.reasons[index] or ("cancelled" if cancel.is_set() else "length"),
                usage=Usage(len(prompt.token_ids), len(monitor.token_ids[index]), cached),
                timing=timing,
                token_ids=tuple(monitor.token_ids[index]),
                sra=sra if sra is not None and sra.enabled else None,
                context_length=prompt.context_length,
            )
            for index, (prompt, assembler) in enumerate(zip(prompts, monitor.finish(), strict=True))
        ]

    def _prefill(self, input_ids: torch.Tensor, cache: DynamicCache, start: int, cancel: Cancellation) -> None:
        """Read all but the last chunk of the prompt into `cache`; `generate` reads the rest."""
        length = input_ids.shape[1]
        while length - start > _PREFILL_CHUNK and not cancel.is_set():
            chunk = input_ids[:, start : start + _PREFILL_CHUNK]
            self.loaded.model(input_ids=chunk, past_key_values=cache, use_cache=True, logits_to_keep=1)
            start += _PREFILL_CHUNK

    def _generation_config(self, options: SamplingOptions, pad_id: int, ends: frozenset[int]) -> GenerationConfig:
        config = copy.deepcopy(self.loaded.model.generation_config)
        # The likeliest token is taken of what `logits_processors` leaves, so the model's own sampling is off.
        for name in ("temperature", "top_k", "top_p", "min_p", "typical_p", "max_length", "num_beams"):
            setattr(config, name, None)
        fields = {
            "do_sample": False,
            "max_new_tokens": options.max_new_tokens,
            "pad_token_id": pad_id,
            "repetition_penalty": options.repetition_penalty,
            "use_cache": True,
        }
        config.update(**(fields | dict(options.extra) | {"eos_token_id": sorted(ends) or None}))
        return config

    def _check_window(self, prompts: Sequence[EncodedPrompt], options: SamplingOptions) -> None:
        longest = max(len(prompt.token_ids) for prompt in prompts)
        if longest + options.max_new_tokens > self.context_window:
            raise ContextOverflowError(longest, options.max_new_tokens, self.context_window)

    def _sra(self, sra: SRALike | object) -> SRAConfig | None:
        return self.loaded.sra if sra is _DEFAULT else SRAConfig.coerce(sra)  # type: ignore[arg-type]

    def _options(self, options: SamplingOptions | None, changes: Mapping[str, Any]) -> SamplingOptions:
        chosen = options or self.options
        return chosen.replace(**changes) if changes else chosen


class _Monitor(StoppingCriteria):
    """Sees each new token: collects text, notes times and reasons, and says when to stop."""

    def __init__(
        self,
        assemblers: list[TextAssembler],
        prompt_length: int,
        end_tokens: frozenset[int],
        cancel: Cancellation,
        on_text: Callable[[int, str], None] | None,
    ) -> None:
        self.assemblers = assemblers
        self.seen = prompt_length
        self.end_tokens = end_tokens
        self.cancel = cancel
        self.on_text = on_text
        self.token_ids: list[list[int]] = [[] for _ in assemblers]
        self.reasons: list[FinishReason | None] = [None] * len(assemblers)
        self.started = time.perf_counter()
        self.first_token: float | None = None

    def __call__(self, input_ids: torch.Tensor, scores: object, **kwargs: object) -> torch.Tensor:
        self.first_token = self.first_token or time.perf_counter()
        for tokens in input_ids[:, self.seen :].T.tolist():
            for index, token in enumerate(tokens):
                if self.reasons[index] is None:
                    self._add(index, token)
        self.seen = input_ids.shape[1]
        stop = self.cancel.is_set()
        return torch.tensor([stop or reason is not None for reason in self.reasons], device=input_ids.device)

    def _add(self, index: int, token: int) -> None:
        self.token_ids[index].append(token)
        if token in self.end_tokens:
            self.reasons[index] = "stop"
            return
        self._emit(index, self.assemblers[index].add(token))
        if self.assemblers[index].stopped:
            self.reasons[index] = "stop"

    def _emit(self, index: int, text: str) -> None:
        if text and self.on_text is not None:
            self.on_text(index, text)

    def finish(self) -> list[TextAssembler]:
        """Hand over what was held back."""
        for index, assembler in enumerate(self.assemblers):
            self._emit(index, assembler.finish())
        return self.assemblers

    def timing(self) -> Timing:
        """Seconds so far."""
        now = time.perf_counter()
        first = self.first_token or now
        return Timing(first - self.started, now - first)


def _end_tokens(model: LoadedModel) -> list[int]:
    return [*_as_list(model.model.generation_config.eos_token_id), *_as_list(model.tokenizer.eos_token_id)]


def _as_list(tokens: int | Sequence[int] | None) -> list[int]:
    return [tokens] if isinstance(tokens, int) else list(tokens or ())


def _dependence(sra: SRAConfig | None, context: int, prompt: int) -> tuple[int, str | None]:
    """How many leading rows no setting touches, and on what the keys and values of the others depend."""
    if sra is None or not sra.enabled:
        return sys.maxsize, None
    untouched = {"all": 0, "after_context": context, "generated": prompt}[sra.rows]
    if sra.bounds == "observed":
        # The bounds carried from the prefill are not stored, so sharpened rows are computed again.
        return untouched, f"{sra.to_json()}{time.monotonic_ns()}"
    return untouched, sra.to_json()
