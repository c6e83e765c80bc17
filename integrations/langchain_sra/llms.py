"""`SRAHuggingFaceLLM`: a local model with Scaled ReAttention that continues text, for LangChain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.llms import BaseLLM
from langchain_core.outputs import Generation as LangChainGeneration
from langchain_core.outputs import GenerationChunk, LLMResult

from langchain_sra.call import Call
from langchain_sra.call_batch import BatchSlot
from langchain_sra.language_model import SRALanguageModel
from langchain_sra.replies import metadata, usage
from sra_rag.generation.request import Cancellation
from sra_rag.generation.result import Generation, TextDelta

__all__ = ["SRAHuggingFaceLLM"]


class SRAHuggingFaceLLM(SRALanguageModel, BaseLLM):
    """A local Hugging Face completion model with Scaled ReAttention (SRA): attention is sharpened during generation.

    The prompt is used unchanged; no chat template is applied. Use `ChatSRAHuggingFace` for chat models. The parameters
    are those of `ChatSRAHuggingFace`. ``generation_info`` of an answer holds its token counts, timing, finish reason
    and settings; it is available from `generate` and in callbacks.

    Examples
    --------
    >>> llm = SRAHuggingFaceLLM(model="embedded", sra=0.2, max_tokens=32)  # doctest: +SKIP
    >>> llm.invoke("The rent of the warehouse is")  # doctest: +SKIP
    """

    @property
    def _llm_type(self) -> str:
        return "sra-huggingface"

    def _generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        slot = BatchSlot.current()
        if self._streams(prompts, kwargs):
            chunks = list(self._stream(prompts[0], stop, run_manager, **kwargs))
            return LLMResult(generations=[[_merged(chunks)]])
        calls = self._calls(prompts, stop, kwargs)
        if slot is not None and len(calls) == 1:
            return _result(calls, [slot.submit(calls[0]).result()])
        return _result(calls, self._answer(calls))

    async def _agenerate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        slot = BatchSlot.current()
        if self._streams(prompts, kwargs):
            chunks = [chunk async for chunk in self._astream(prompts[0], stop, run_manager, **kwargs)]
            return LLMResult(generations=[[_merged(chunks)]])
        if slot is not None and len(prompts) == 1:
            calls = await asyncio.to_thread(self._calls, prompts, stop, kwargs)
            return _result(calls, [await asyncio.wrap_future(await asyncio.to_thread(slot.submit, calls[0]))])
        cancel = kwargs.setdefault("cancel", Cancellation())
        calls = await asyncio.to_thread(self._calls, prompts, stop, kwargs)
        try:
            return _result(calls, await asyncio.to_thread(self._answer, calls))
        except asyncio.CancelledError:
            cancel.set()
            raise

    def _stream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[GenerationChunk]:
        if (slot := BatchSlot.current()) is not None:
            slot.release()
        [call] = self._calls([prompt], stop, kwargs)
        with closing(call.stream()) as deltas:
            for delta in deltas:
                chunk = _chunk(call, delta)
                if run_manager is not None:
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk

    async def _astream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[GenerationChunk]:
        if (slot := BatchSlot.current()) is not None:
            await asyncio.to_thread(slot.release)
        [call] = await asyncio.to_thread(self._calls, [prompt], stop, kwargs)
        async with aclosing(call.astream()) as deltas:
            async for delta in deltas:
                chunk = _chunk(call, delta)
                if run_manager is not None:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk

    def _streams(self, prompts: list[str], kwargs: dict[str, Any]) -> bool:
        return len(prompts) == 1 and bool(kwargs.get("stream", self.streaming))

    def _calls(self, prompts: list[str], stop: list[str] | None, kwargs: dict[str, Any]) -> list[Call]:
        engine, arguments, encoding = self._prepare(stop, kwargs)
        context = encoding.get("context")
        return [Call(engine, engine.encode(prompt, context=context), dict(arguments)) for prompt in prompts]

    def _answer(self, calls: list[Call]) -> list[Generation]:
        answers: list[Generation] = []
        for start in range(0, len(calls), self.batch_size):
            group = calls[start : start + self.batch_size]
            answers += group[0].engine.generate_batch([call.prompt for call in group], **group[0].arguments)
        return answers


def _information(call: Call, generation: Generation) -> dict[str, Any]:
    return {**metadata(generation, call.model_name), "usage_metadata": usage(generation)}


def _result(calls: list[Call], answers: list[Generation]) -> LLMResult:
    generations = [
        [LangChainGeneration(text=answer.text, generation_info=_information(call, answer))]
        for call, answer in zip(calls, answers, strict=True)
    ]
    prompt_tokens = sum(answer.usage.prompt_tokens for answer in answers)
    completion_tokens = sum(answer.usage.completion_tokens for answer in answers)
    token_usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
    return LLMResult(
        generations=generations, llm_output={"token_usage": token_usage, "model_name": calls[0].model_name}
    )


def _chunk(call: Call, delta: TextDelta) -> GenerationChunk:
    info = None if delta.generation is None else _information(call, delta.generation)
    return GenerationChunk(text=delta.text, generation_info=info)


def _merged(chunks: list[GenerationChunk]) -> GenerationChunk:
    return sum(chunks[1:], start=chunks[0])
