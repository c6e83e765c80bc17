"""Generate with sharpened attention: one core path for blocking, streaming and async callers.

`Engine._run` does all the work in the calling thread: it looks for a prefill to reuse, prefills the rest in chunks, and
decodes with transformers' ``generate``. Streams run it in another thread and receive its text. An exception in that
thread is raised in the reader, and closing the reader stops the work within one token.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import queue
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager
from typing import Any, Unpack, cast

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from sra_rag.attention.reattend import reattend
from sra_rag.attention.shares import AttentionShares, observing
from sra_rag.config import SRALike
from sra_rag.evidence.weigh import weigh
from sra_rag.evidence_config import HeadChoice
from sra_rag.generation.bridge import iterate_in_thread
from sra_rag.generation.constraints import JSONConstraint, JSONGrammars
from sra_rag.generation.logits_processors import NoEndAfterColon, logits_processors
from sra_rag.generation.monitor import Monitor
from sra_rag.generation.prefix_cache import PrefixCache, cache_argument, dependence
from sra_rag.generation.prompt_reader import PREFILL_CHUNK, PromptReader, Reading, padded
from sra_rag.generation.prompts import EncodedPrompt, Prompt, PromptEncoder
from sra_rag.generation.request import Cancellation, LinkedCancellation, Request, RequestArguments, read_request
from sra_rag.generation.result import Generation, Likelihood, TextDelta, Usage
from sra_rag.generation.sampling import SamplingOptions
from sra_rag.generation.text import TextAssembler
from sra_rag.heads.known import evidence_heads, fitted_settings
from sra_rag.models.description import describe_model
from sra_rag.models.device_memory import clear_memory_errors
from sra_rag.models.loading import LoadedModel

__all__ = ["PREFILL_CHUNK", "Cancellation", "Engine", "Prompt"]


class Engine:
    """Answers prompts with one loaded model. Several threads may use it at once.

    Parameters
    ----------
    model
        From `sra_rag.load_model`.
    options
        Options of requests without options.
    max_prefixes
        Number of earlier prefills that are kept for reuse, in the memory of the model; 0 keeps none.
    stop_token_ids
        Tokens that end an answer, in addition to those of the model.
    context_window
        Tokens of prompt and answer together; by default, and at most, the model's own.
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

    @property
    def name(self) -> str:
        """Name of the model, as given to `load_model`."""
        return self.loaded.name

    @property
    def sees_attention(self) -> bool:
        """Whether requests may have `shares`: always true here."""
        return True

    @property
    def weighs_evidence(self) -> bool:
        """Whether settings may have evidence: always true here."""
        return True

    @property
    def in_flight(self) -> int:
        """Number of requests that are useful at the same time: more than one would share the processor."""
        return 1

    @property
    def measures_likelihood(self) -> bool:
        """Whether `answer_likelihood` can be called: always true here."""
        return True

    @property
    def server_versions(self) -> Mapping[str, str]:
        """Versions of the programs on a server: empty here."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Return what identifies the model, with the hash of its weights: takes seconds for a large one."""
        return describe_model(self.loaded)

    @contextmanager
    def isolated(self) -> Iterator[Engine]:
        """Clear the prefills before and after the block, so that timings within it are comparable."""
        self.prefixes.clear()
        try:
            yield self
        finally:
            self.prefixes.clear()

    def room_for(self, requests: int) -> AbstractContextManager[None]:
        """Keep the prefills of this number of additional requests within the block."""
        return self.prefixes.room(requests)

    def encode(
        self,
        prompt: Prompt,
        *,
        context: str | None = None,
        passages: Sequence[str] | None = None,
        passage_scores: Sequence[float] | None = None,
        template_kwargs: Mapping[str, Any] | None = None,
    ) -> EncodedPrompt:
        """Turn messages (through the chat template) or plain text into tokens.

        Parameters
        ----------
        prompt
            Messages, text, or tokens already.
        context, passages, passage_scores, template_kwargs
            See `RequestArguments`.
        """
        return self.encoder.encode(
            prompt, context=context, passages=passages, passage_scores=passage_scores, template_kwargs=template_kwargs
        )

    def generate(self, prompt: Prompt, **arguments: Unpack[RequestArguments]) -> Generation:
        """Answer one prompt.

        Parameters
        ----------
        prompt
            Messages (mappings with ``role`` and ``content``), plain text, or an `EncodedPrompt`.
        **arguments
            See `RequestArguments`; single options among them, such as ``temperature=0.7`` or ``stop=("END",)``.

        Raises
        ------
        ContextOverflowError
            If prompt and answer do not fit the model's window.
        ConfigError, PromptError
            If a setting or the prompt is not allowed.
        GenerationTimeoutError, OutOfMemoryError
            If seconds or memory do not suffice.
        """
        return self._run(self._request([prompt], arguments))[0]

    def generate_batch(
        self,
        prompts: Sequence[Prompt],
        *,
        contexts: Sequence[str | None] | None = None,
        passage_lists: Sequence[Sequence[str] | None] | None = None,
        score_lists: Sequence[Sequence[float] | None] | None = None,
        **arguments: Unpack[RequestArguments],
    ) -> list[Generation]:
        """Answer several prompts in one batch, each with its own context, passages and scores; else as `generate`."""
        if not prompts:
            return []
        return self._run(self._request(prompts, arguments, contexts, passage_lists, score_lists))

    def stream(self, prompt: Prompt, **arguments: Unpack[RequestArguments]) -> Generator[TextDelta, None, None]:
        """Answer one prompt piece by piece; the last piece carries the whole `Generation`.

        The arguments are those of `generate`, checked at the call, before the first piece is requested. Closing
        the iterator, or dropping it, ends the work.
        """
        return self._stream(self._request([prompt], arguments))

    async def agenerate(self, prompt: Prompt, **arguments: Unpack[RequestArguments]) -> Generation:
        """Answer one prompt without blocking the event loop; cancelling the task ends the work."""
        async with aclosing(self.astream(prompt, **arguments)) as deltas:
            async for delta in deltas:
                if delta.generation is not None:
                    return delta.generation
        raise RuntimeError("The stream ended without an answer.")  # pragma: no cover - _stream always ends with one

    async def astream(self, prompt: Prompt, **arguments: Unpack[RequestArguments]) -> AsyncGenerator[TextDelta, None]:
        """Answer one prompt piece by piece without blocking the event loop."""
        cancel = LinkedCancellation(arguments.get("cancel"))
        stoppable = cast("RequestArguments", {**arguments, "cancel": cancel})
        async with aclosing(iterate_in_thread(lambda: self.stream(prompt, **stoppable), cancel)) as deltas:
            async for delta in deltas:
                yield delta

    def answer_likelihood(
        self,
        prompt: Prompt,
        answer: str,
        *,
        context: str | None = None,
        passages: Sequence[str] | None = None,
        passage_scores: Sequence[float] | None = None,
        template_kwargs: Mapping[str, Any] | None = None,
        sra: SRALike = None,
        shares: AttentionShares | None = None,
        cancel: Cancellation | None = None,
    ) -> Likelihood:
        """Measure how likely a given answer is; see `sra_rag.generation.likelihood.answer_likelihood`."""
        from sra_rag.generation.likelihood import answer_likelihood  # it works with this class

        return answer_likelihood(
            self, prompt, answer,
            context=context, passages=passages, passage_scores=passage_scores, template_kwargs=template_kwargs, sra=sra,
            shares=shares, cancel=cancel,
        )  # fmt: skip

    def rank_passages(
        self,
        question: str,
        passages: Sequence[str],
        *,
        heads: HeadChoice | None = None,
        progress: Callable[[int, int], None] | None = None,
        cancel: Cancellation | None = None,
    ) -> list[float]:
        """Score passages by the model's evidence heads; see `sra_rag.generation.ranking.rank_passages`."""
        from sra_rag.generation.ranking import rank_passages  # it works with this class

        return rank_passages(self, question, passages, heads=heads, progress=progress, cancel=cancel)

    async def arank_passages(
        self,
        question: str,
        passages: Sequence[str],
        *,
        heads: HeadChoice | None = None,
        progress: Callable[[int, int], None] | None = None,
        cancel: Cancellation | None = None,
    ) -> list[float]:
        """As `rank_passages`, without blocking the event loop; cancelling the task ends the work.

        `progress` is called in another thread.
        """
        stop = LinkedCancellation(cancel)
        try:
            return await asyncio.to_thread(
                self.rank_passages, question, passages, heads=heads, progress=progress, cancel=stop
            )
        finally:
            stop.set()

    def _request(
        self,
        prompts: Sequence[Prompt],
        arguments: RequestArguments,
        contexts: Sequence[str | None] | None = None,
        passage_lists: Sequence[Sequence[str] | None] | None = None,
        score_lists: Sequence[Sequence[float] | None] | None = None,
    ) -> Request:
        request = read_request(
            prompts,
            arguments,
            contexts,
            passage_lists,
            score_lists,
            encode=self.encode,
            sra=self.loaded.sra,
            options=self.options,
            context_window=self.context_window,
        )
        sra = fitted_settings(request.sra, self.loaded)
        looks = sra is not None and sra.evidence is not None and sra.evidence.most_heads > 0
        if looks and any(prompt.has_passages for prompt in request.prompts):
            evidence_heads(self.loaded)  # found at the first use; that is no part of the time of an answer
        return dataclasses.replace(request, sra=sra)

    def _stream(self, request: Request) -> Generator[TextDelta, None, None]:
        arrived: queue.SimpleQueue[TextDelta | BaseException] = queue.SimpleQueue()
        request = dataclasses.replace(request, on_text=lambda _, text: arrived.put(TextDelta(text)))

        def work() -> None:
            try:
                [generation] = self._run(request)
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
            request.cancel.set()
            worker.join()

    @torch.inference_mode()
    def _run(self, request: Request) -> list[Generation]:
        prompts, sra, options = request.prompts, request.sra, request.options
        model, tokenizer = self.loaded.model, self.loaded.tokenizer
        ends = self._stop_token_ids | set(_as_list(options.extra.get("eos_token_id")))
        batch = padded(prompts, self._pad_id(), self.loaded.device)
        ends_loops = options.stop_repetition and options.json_schema is None
        assemblers = [TextAssembler(tokenizer, options.stop, stop_repetition=ends_loops) for _ in prompts]
        processors = self._logits_processors(options, len(prompts), batch.length, ends)
        monitor = Monitor(assemblers, batch.length, ends, request.cancel, options.timeout, request.on_text)
        reader = PromptReader(self.loaded, self.prefixes, monitor)
        reading = Reading()
        with clear_memory_errors(self.loaded.device, len(prompts), batch.length):
            if len(prompts) > 1:
                reading = reader.read_batch(request, batch.length)
            with (
                reattend(model, sra, context_length=batch.contexts, prompt_length=batch.length) as session,
                observing(request.shares),
            ):
                if len(prompts) == 1:
                    reading = reader.read(prompts[0], sra, session)
                elif session is not None and sra is not None and sra.evidence is not None:
                    found = reading.found or [None] * len(prompts)
                    weigh(session, self.loaded, sra.evidence, found, batch.padding, batch.contexts)
                if not monitor.cancelled():
                    output = model.generate(
                        batch.input_ids,
                        attention_mask=batch.mask,
                        generation_config=self._generation_config(options, self._pad_id(), ends),
                        logits_processor=processors,
                        stopping_criteria=StoppingCriteriaList([monitor]),
                        **cache_argument(model, reading.cache),
                    )
                    if len(prompts) == 1 and reading.cache is not None:
                        untouched, settings = dependence(sra, prompts[0].context_length, batch.length)
                        self.prefixes.put(output[0].tolist(), untouched, settings, reading.cache)
        timing = monitor.timing()
        return [
            Generation(
                text=assembler.text,
                finish_reason=monitor.reasons[index] or ("cancelled" if request.cancel.is_set() else "length"),
                usage=Usage(len(prompt.token_ids), len(monitor.token_ids[index]), reading.cached[index]),
                timing=timing,
                token_ids=tuple(monitor.token_ids[index]),
                sra=sra if sra is not None and sra.enabled else None,
                context_length=prompt.context_length,
                evidence=reading.found[index] if reading.found else None,
            )
            for index, (prompt, assembler) in enumerate(zip(prompts, monitor.finish(), strict=True))
        ]

    def _pad_id(self) -> int:
        pad_id = self.loaded.tokenizer.pad_token_id
        return pad_id if pad_id is not None else min(self._stop_token_ids, default=0)

    def _logits_processors(
        self, options: SamplingOptions, batch_size: int, prompt_length: int, ends: frozenset[int]
    ) -> LogitsProcessorList:
        processors = logits_processors(options, batch_size)
        if options.json_schema is None:
            if options.end_after_colon:
                return processors
            return LogitsProcessorList([NoEndAfterColon(self.loaded.tokenizer, prompt_length, ends), *processors])
        config = self.loaded.model.config.get_text_config(decoder=True)
        grammars = JSONGrammars.of(self.loaded.tokenizer, config.vocab_size, sorted(self._stop_token_ids))
        constraint = JSONConstraint(grammars, options.json_schema, batch_size, options.max_new_tokens)
        return LogitsProcessorList([constraint.mask, *processors, constraint.guard])

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


def _end_tokens(model: LoadedModel) -> list[int]:
    return [*_as_list(model.model.generation_config.eos_token_id), *_as_list(model.tokenizer.eos_token_id)]


def _as_list(tokens: int | Sequence[int] | None) -> list[int]:
    return [tokens] if isinstance(tokens, int) else list(tokens or ())
