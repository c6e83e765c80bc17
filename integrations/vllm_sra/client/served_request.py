"""A request as a server takes it. What the server cannot honour is refused, never left out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError, PromptError
from sra_rag.generation.prompts import EncodedPrompt, Prompt
from sra_rag.generation.request import Request
from sra_rag.generation.sampling import SamplingOptions
from vllm_sra.client.served_model import ServedModel

__all__ = ["chat_body", "refuse_unservable", "settings_body", "token_body"]

_STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


def refuse_unservable(model: ServedModel, request: Request) -> None:
    """Refuse what a request asks for and a server does not have.

    Raises
    ------
    ConfigError
        Naming it.
    """
    options = request.options
    if request.shares is not None:
        raise ConfigError(
            f"Where attention falls is not known of a model on a server ({model.address}). Leave it out (--attention), "
            "or load the model in this process."
        )
    if request.sra is not None and request.sra.evidence is not None:
        raise ConfigError(
            f"Evidence is not available from a model on a server yet ({model.address}). Ask without it (--sra off), or "
            "load the model in this process."
        )
    if request.sra is not None and request.sra.enabled and not model.reattends:
        raise ConfigError(
            f"{model.address} does not honour settings of the attention: it is no vLLM with sra-rag installed beside "
            "it, or the plugin is off. Ask without settings (--sra off), or see docs/vllm.md."
        )
    unknown = dict(options.extra)
    if options.typical_p not in (None, 1):
        unknown["typical_p"] = options.typical_p
    if not model.takes_tokens:
        unknown |= {name: getattr(options, name) for name in ("top_k", "min_p") if getattr(options, name) is not None}
        if options.repetition_penalty != 1:
            unknown["repetition_penalty"] = options.repetition_penalty
    if unknown:
        raise ConfigError(
            f"{model.address} has no {', '.join(sorted(unknown))}. Leave it out, or load the model in this process."
        )


def token_body(model: ServedModel, prompt: EncodedPrompt, request: Request, salt: str | None) -> dict[str, Any]:
    """Return the arguments for ``completions.create``; every option is named, as servers have defaults of their own."""
    options = request.options
    extra = {
        "top_k": options.top_k or 0,
        "min_p": options.min_p or 0.0,
        "repetition_penalty": options.repetition_penalty,
        "return_token_ids": True,
        **settings_body(model, request.sra, prompt.context_length, salt=salt),
    }
    if options.json_schema is not None:
        extra["response_format"] = _form(options.json_schema)
    return {
        "model": model.name,
        "prompt": list(prompt.token_ids),
        "max_tokens": options.max_new_tokens,
        **_common(options),
        "extra_body": extra,
    }


def chat_body(model: ServedModel, prompt: Prompt, request: Request, has_template_kwargs: bool) -> dict[str, Any]:
    """Return the arguments for ``chat.completions.create``.

    Raises
    ------
    PromptError
        If the prompt is not made of messages.
    """
    if isinstance(prompt, str | EncodedPrompt) or has_template_kwargs:
        raise PromptError(
            f"{model.address} takes messages only, and makes a prompt of them itself. Give messages, and no options of "
            "their template."
        )
    options = request.options
    body: dict[str, Any] = {
        "model": model.name,
        "messages": [dict(message) for message in prompt],
        "max_tokens": options.max_new_tokens,
        **_common(options),
    }
    if model.says_off:
        body["extra_body"] = {"sra": None}
    return body if options.json_schema is None else {**body, "response_format": _form(options.json_schema)}


def settings_body(
    model: ServedModel,
    sra: SRAConfig | None,
    context_length: int,
    *,
    prompt_length: int | None = None,
    salt: str | None = None,
) -> dict[str, Any]:
    """Return what a body says of the attention.

    Parameters
    ----------
    model
        Where it goes.
    sra
        Settings; off is said too, as a server may have others of its own.
    context_length, prompt_length
        Tokens up to the end of the context, and up to a given answer.
    salt
        Keeps the prefill from being shared with requests that have another.
    """
    body: dict[str, Any] = {} if salt is None else {"cache_salt": salt}
    if not model.reattends:
        return body
    if sra is None or not sra.enabled:
        return body | {"vllm_xargs": {"sra": "off"}}
    settings: dict[str, str | int] = {"sra": json.dumps(sra.to_dict()), "sra_context_length": context_length}
    if prompt_length is not None:
        settings["sra_prompt_length"] = prompt_length
    return body | {"vllm_xargs": settings}


def _common(options: SamplingOptions) -> dict[str, Any]:
    body: dict[str, Any] = {"temperature": options.temperature, "top_p": options.top_p or 1.0, **_STREAMED}
    stop: Sequence[str] = options.stop
    if stop:
        body["stop"] = list(stop)
    return body if options.seed is None else {**body, "seed": options.seed}


def _form(schema: Mapping[str, Any]) -> dict[str, Any]:
    if not schema:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema)}}
