"""Conversion of a request for a server. Options that the server does not support raise; they are never dropped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sra_rag.errors import ConfigError, PromptError
from sra_rag.generation.prompts import EncodedPrompt, Prompt
from sra_rag.generation.request import Request
from sra_rag.generation.sampling import SamplingOptions
from vllm_sra.client.served_evidence import PreparedSettings
from vllm_sra.client.served_model import ServedModel

__all__ = ["chat_body", "refuse_unservable", "settings_body", "token_body"]

_STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


def refuse_unservable(model: ServedModel, request: Request) -> None:
    """Raise if a request uses an option that the server does not support.

    Raises
    ------
    ConfigError
        Names the unsupported options.
    """
    options = request.options
    if request.shares is not None:
        raise ConfigError(
            f"Attention weights are not available from a model on a server ({model.address}). Remove --attention, or "
            "load the model in this process."
        )
    sra = request.sra
    if sra is not None and sra.evidence is not None and sra.sharpens and sra.rows == "all":
        raise ConfigError(
            f'rows="all" is not available with evidence from a model on a server ({model.address}): the evidence is '
            'looked for in a context that is not sharpened. Use rows="after_context".'
        )
    if sra is not None and sra.enabled and not model.reattends:
        raise ConfigError(
            f"{model.address} does not support Scaled ReAttention: it is not a vLLM server with sra-rag installed, or "
            "the plugin is off. Use --sra off, or see docs/vllm.md."
        )
    unsupported = dict(options.extra)
    if options.typical_p not in (None, 1):
        unsupported["typical_p"] = options.typical_p
    if not model.takes_tokens:
        unsupported |= {
            name: getattr(options, name) for name in ("top_k", "min_p") if getattr(options, name) is not None
        }
        if options.repetition_penalty != 1:
            unsupported["repetition_penalty"] = options.repetition_penalty
    if unsupported:
        raise ConfigError(
            f"{model.address} does not support {', '.join(sorted(unsupported))}. Remove it, or load the model in this "
            "process."
        )


def token_body(
    model: ServedModel,
    prompt: EncodedPrompt,
    request: Request,
    salt: str | None,
    prepared: PreparedSettings,
) -> dict[str, Any]:
    """Return the arguments for ``completions.create``, with every option, as servers have different defaults.

    `salt` and `prepared` are those of `settings_body`.
    """
    options = request.options
    extra = {
        "top_k": options.top_k or 0,
        "min_p": options.min_p or 0.0,
        "repetition_penalty": options.repetition_penalty,
        "return_token_ids": True,
        **settings_body(model, prepared, prompt.context_length, salt=salt),
    }
    if options.json_schema is not None:
        extra["response_format"] = _response_format(options.json_schema)
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
        If the prompt does not consist of messages.
    """
    if isinstance(prompt, str | EncodedPrompt) or has_template_kwargs:
        raise PromptError(
            f"{model.address} accepts only messages and applies the chat template itself. Pass messages, and no "
            "template_kwargs."
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
    return body if options.json_schema is None else {**body, "response_format": _response_format(options.json_schema)}


def settings_body(
    model: ServedModel,
    prepared: PreparedSettings,
    context_length: int,
    *,
    prompt_length: int | None = None,
    salt: str | None = None,
) -> dict[str, Any]:
    """Return the part of a request body with the settings of Scaled ReAttention.

    Parameters
    ----------
    model
        Model that receives the request.
    prepared
        Settings. Off is sent explicitly, as the server may have other default settings.
    context_length, prompt_length
        Number of tokens up to the end of the context, and up to the start of a given answer.
    salt
        Prevents sharing of the prefill with requests that have another salt.
    """
    body: dict[str, Any] = {} if salt is None else {"cache_salt": salt}
    if not model.reattends:
        return body
    sra = prepared.sra
    if sra is None or not sra.enabled:
        return body | {"vllm_xargs": {"sra": "off"}}
    settings: dict[str, str | int] = {"sra": json.dumps(sra.to_dict()), "sra_context_length": context_length}
    if prompt_length is not None:
        settings["sra_prompt_length"] = prompt_length
    return body | {"vllm_xargs": settings | dict(prepared.arguments)}


def _common(options: SamplingOptions) -> dict[str, Any]:
    body: dict[str, Any] = {"temperature": options.temperature, "top_p": options.top_p or 1.0, **_STREAMED}
    stop: Sequence[str] = options.stop
    if stop:
        body["stop"] = list(stop)
    return body if options.seed is None else {**body, "seed": options.seed}


def _response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    if not schema:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema)}}
