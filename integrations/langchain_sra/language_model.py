"""Base class of the chat model and the completion model: fields, access to the engine, settings per call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Self

from langchain_core.language_models import BaseLanguageModel, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ContextThreadPoolExecutor, get_config_list
from pydantic import AliasChoices, ConfigDict, Field, field_validator, model_validator

from langchain_sra.call_batch import CallBatch
from langchain_sra.engines import Engines, ModelSource
from langchain_sra.options import engine_options
from langchain_sra.run_config import with_configured
from sra_rag.config import SRAConfig, SRALike
from sra_rag.errors import ConfigError
from sra_rag.generation.engine import Engine

__all__ = ["SRALanguageModel"]

# LangChain models for remote services accept these. A local model needs no key and no retries, so they are ignored.
_IGNORED = ("api_key", "max_retries")
_OPTIONS = ("max_tokens", "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed", "timeout", "stop")


class SRALanguageModel(BaseLanguageModel[Any]):
    """Fields and behaviour of both models; see `ChatSRAHuggingFace`."""

    model: str = Field(default="embedded", validation_alias=AliasChoices("model", "model_name", "model_id"))
    sra: SRALike = None
    max_tokens: int | None = Field(default=None, validation_alias=AliasChoices("max_tokens", "max_new_tokens"))
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = Field(default=None, validation_alias=AliasChoices("stop", "stop_sequences"))
    timeout: float | None = Field(default=None, validation_alias=AliasChoices("timeout", "request_timeout"))
    generate_kwargs: dict[str, Any] = Field(default_factory=dict)
    batch_size: int = Field(default=8, ge=1)
    streaming: bool | None = None
    device_map: Any = "auto"
    dtype: Any = "auto"
    quantization: str | None = None
    tokenizer: str | None = None
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    tokenizer_kwargs: dict[str, Any] = Field(default_factory=dict)
    engines: Any = Field(
        default=None,
        validation_alias=AliasChoices("engine", "engines"),
        exclude=True,
        repr=False,
        validate_default=True,
    )

    model_config = ConfigDict(populate_by_name=True, protected_namespaces=(), arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _reject_unknown(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        values = {name: value for name, value in values.items() if name not in _IGNORED}
        aliases = [field.validation_alias for field in cls.model_fields.values()]
        known = {*cls.model_fields, *(str(a) for c in aliases if isinstance(c, AliasChoices) for a in c.choices)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(
                f"Unknown argument {', '.join(unknown)}. Known are {', '.join(sorted(known))}. Pass other options of "
                "transformers' GenerationConfig in generate_kwargs, and those of from_pretrained in model_kwargs."
            )
        given = values.get("engine")
        if given is not None and not isinstance(given, Engines):
            name = next((values[alias] for alias in ("model", "model_name", "model_id") if alias in values), None)
            engine = Engines(given).given
            if engine is not None and name not in (None, engine.loaded.name):
                raise ConfigError(
                    f"model={name!r} and an engine of {engine.loaded.name!r} were given. Give one of the two."
                )
        return values

    @field_validator("engines", mode="before")
    @classmethod
    def _hold_engine(cls, given: Any) -> Engines:
        return given if isinstance(given, Engines) else Engines(given)

    @field_validator("sra", mode="plain")
    @classmethod
    def _coerce_sra(cls, sra: Any) -> SRAConfig | None:
        return SRAConfig.coerce(sra)

    @field_validator("generate_kwargs", mode="after")
    @classmethod
    def _check_generate_kwargs(cls, given: dict[str, Any]) -> dict[str, Any]:
        return engine_options(given)

    @model_validator(mode="after")
    def _name_given_engine(self) -> Self:
        if self.engines.given is not None and "model" not in self.model_fields_set:
            self.model = self.engines.given.loaded.name
        return self

    @model_validator(mode="after")
    def _set_sra_rag_version(self) -> Self:
        from sra_rag import __version__

        self._add_version("sra-rag", __version__)  # documented by LangChain for integrations, despite the underscore
        return self

    @property
    def engine(self) -> Engine:
        """The engine of the model, which can be shared with other integrations. Loads the model if necessary."""
        return self._engine_for(self.model)

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether LangChain can serialize the model: its name and settings, never its weights."""
        return True

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """Attributes that are serialized in a different form."""
        sra = SRAConfig.coerce(self.sra)
        return {} if sra is None else {"sra": sra.to_dict()}

    @property
    def _identifying_params(self) -> dict[str, Any]:
        named = {name: getattr(self, name) for name in ("model", *_OPTIONS)}
        return {**named, **self.generate_kwargs, **({"sra": None} | self.lc_attributes)}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        settings = {"stop": stop or self.stop, **kwargs}
        params = super()._get_ls_params(stop=_as_list(settings["stop"]), **kwargs)
        params["ls_provider"] = "sra"
        return params

    def get_token_ids(self, text: str) -> list[int]:
        """Return the token ids of a text, without special tokens."""
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        encoder = self.engine.encoder
        return list(encoder.encode_rendered(encoder.shield(text)).token_ids)

    def _engine_for(self, model: str) -> Engine:
        return self.engines.get(
            ModelSource(
                name=model,
                dtype=self.dtype,
                device_map=self.device_map,
                quantization=self.quantization,
                tokenizer=self.tokenizer if model == self.model else None,
                model_kwargs=self.model_kwargs,
                tokenizer_kwargs=self.tokenizer_kwargs,
            )
        )

    def _prepare(
        self, stop: list[str] | None, kwargs: dict[str, Any], json_schema: dict[str, Any] | None = None
    ) -> tuple[Engine, dict[str, Any], dict[str, Any]]:
        """Split the keyword arguments of a call into the engine, its arguments, and the arguments for encoding."""
        changes = dict(kwargs)
        changes.pop("stream", None)  # already handled by LangChain
        engine = self._engine_for(changes.pop("model", None) or self.model)
        encoding: dict[str, Any] = {
            name: changes.pop(name) for name in ("context", "template_kwargs") if name in changes
        }
        arguments: dict[str, Any] = {name: changes.pop(name) for name in ("sra", "cancel") if name in changes}
        if "sra" in arguments or self.sra is not None:
            arguments["sra"] = SRAConfig.coerce(arguments.get("sra", self.sra))
        fields = {name: getattr(self, name) for name in _OPTIONS}
        call_options = {"stop": stop, "json_schema": json_schema}
        options = engine_options(fields) | self.generate_kwargs | engine_options(changes) | engine_options(call_options)
        if "json_schema" in options:
            options["stop"] = ()  # a stop text inside the JSON would make it invalid
        arguments["options"] = engine.options.replace(**options)
        return engine, arguments, encoding

    # Every LangChain method also reads `sra` from its config, without a declared configurable field. So a whole graph
    # can run with other settings: config={"configurable": {"sra": 0.2}}.

    def invoke(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002, D102
        # Implemented by the LangChain classes that this class is combined with.
        return super().invoke(input, config, **with_configured(config, kwargs))  # type: ignore[safe-super]

    async def ainvoke(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002, D102
        return await super().ainvoke(input, config, **with_configured(config, kwargs))

    def stream(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:  # noqa: A002, D102
        return super().stream(input, config, **with_configured(config, kwargs))

    def astream(  # noqa: D102
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        return super().astream(input, config, **with_configured(config, kwargs))

    def batch(
        self,
        inputs: Sequence[LanguageModelInput],
        config: RunnableConfig | Sequence[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Answer several inputs, up to `batch_size` at a time in one batch on the model.

        Parameters
        ----------
        inputs
            Inputs as for `invoke`.
        config
            One config for all inputs, or one for each. ``max_concurrency`` also limits the batch size.
        return_exceptions
            Return exceptions in place of answers instead of raising them.
        **kwargs
            Keyword arguments of each call.
        """

        def answer(pair: tuple[LanguageModelInput, RunnableConfig]) -> Any:
            with call_batch.slot() as slot:
                try:
                    return self.invoke(pair[0], pair[1], **kwargs)
                except Exception as error:
                    if return_exceptions:
                        return error
                    call_batch.abandon()
                    raise
                finally:
                    slot.release()

        answers: list[Any] = []
        for group in self._groups(inputs, config):
            call_batch = CallBatch(len(group))
            # One thread per call: each call waits until all calls of its batch were submitted.
            with ContextThreadPoolExecutor(max_workers=len(group)) as executor:
                try:
                    answers += executor.map(answer, group)
                except BaseException:
                    call_batch.abandon()
                    raise
        return answers

    async def abatch(
        self,
        inputs: Sequence[LanguageModelInput],
        config: RunnableConfig | Sequence[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Answer several inputs like `batch`, without blocking the event loop."""

        async def answer(pair: tuple[LanguageModelInput, RunnableConfig]) -> Any:
            with call_batch.slot() as slot:
                try:
                    return await self.ainvoke(pair[0], pair[1], **kwargs)
                except Exception as error:
                    if return_exceptions:
                        return error
                    call_batch.abandon()
                    raise
                except BaseException:
                    call_batch.abandon()
                    raise
                finally:
                    await asyncio.to_thread(slot.release)

        answers: list[Any] = []
        for group in self._groups(inputs, config):
            call_batch = CallBatch(len(group))
            results = await asyncio.gather(*map(answer, group), return_exceptions=True)
            if not return_exceptions and (failure := next(filter(_is_failure, results), None)) is not None:
                raise failure
            answers += results
        return answers

    def _groups(
        self, inputs: Sequence[LanguageModelInput], config: RunnableConfig | Sequence[RunnableConfig] | None
    ) -> Iterator[list[tuple[LanguageModelInput, RunnableConfig]]]:
        if not inputs:
            return
        configs = get_config_list(config, len(inputs))
        size = min(self.batch_size, configs[0].get("max_concurrency") or self.batch_size)
        pairs = list(zip(inputs, configs, strict=True))
        yield from (pairs[start : start + size] for start in range(0, len(pairs), size))


def _as_list(stop: str | list[str] | None) -> list[str] | None:
    return [stop] if isinstance(stop, str) else stop


def _is_failure(result: object) -> bool:
    return isinstance(result, BaseException)
