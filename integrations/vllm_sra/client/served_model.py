"""Discovery of a model on a server: its name, tokenizer, context window, and support for reattention."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import openai

from sra_rag.errors import ConfigError, ModelLoadError
from sra_rag.models.loading import load_tokenizer
from vllm_sra.client.address import base_url, root_url
from vllm_sra.client.server_errors import server_errors
from vllm_sra.plugin import handshake

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["ServedModel", "find_model"]

logger = logging.getLogger(__name__)

_SAMPLE = "Naïve §5(a): 82,400 crowns —\n\n  due on 1 March.\tEnd 終わり"
_TIMEOUT = openai.Timeout(60.0, connect=10.0)  # seconds


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """A model on a server.

    Parameters
    ----------
    address
        Address of the API, without secrets.
    name
        Name of the model on the server.
    tokenizer
        Tokenizer of the model.
    context_window
        Maximum number of tokens of prompt and answer together.
    takes_tokens
        Whether the server accepts token ids as a prompt, like vLLM. Otherwise it receives messages and applies the chat
        template itself.
    versions
        Known versions of software on the server: ``vllm``, and ``sra-rag`` if the server supports reattention.
    says_off
        Whether requests must switch reattention off explicitly: true for ``sra-rag serve``, which may have default
        settings.
    source
        What the server reports as the source of the model: a path on its machine or a name on the Hugging Face Hub.
    returns_evidence
        Whether the server returns attention, which evidence is chosen by.
    """

    address: str
    name: str
    tokenizer: PreTrainedTokenizerBase = dataclasses.field(repr=False)
    context_window: int
    takes_tokens: bool
    versions: Mapping[str, str]
    says_off: bool = False
    source: str | None = None
    returns_evidence: bool = False

    @property
    def reattends(self) -> bool:
        """Whether the server supports Scaled ReAttention."""
        return "sra-rag" in self.versions


def find_model(
    address: str,
    *,
    model: str | None = None,
    tokenizer: str | PathLike[str] | None = None,
    api_key: str | None = None,
    context_window: int | None = None,
) -> ServedModel:
    """Query a server for its model.

    Parameters
    ----------
    address
        Address of the server, such as ``http://localhost:8000/v1``.
    model
        Name of the model on the server; by default the only model of the server.
    tokenizer
        Name or folder of the tokenizer; by default the one of the model that the server reports.
    api_key
        API key; required if the server checks one.
    context_window
        Maximum number of tokens of prompt and answer together, limited by the context window of the server. Required
        only if the server does not report its context window.

    Raises
    ------
    ConfigError
        If the server has no such model, or if it does not report a value that was not given either.
    ModelLoadError
        If the tokenizer cannot be loaded.
    VLLMServerError
        If the server cannot be reached or fails.
    """
    address = base_url(address)
    client = openai.OpenAI(base_url=address, api_key=api_key or "none", timeout=_TIMEOUT)
    with client, server_errors(address):
        card = _choose(_cards(client), model, address)
        name = card["id"]
        loaded = _tokenizer(tokenizer, card.get("root"), address)
        window = _window(context_window, card.get("max_model_len"), address)
        sample = list(loaded(_SAMPLE, add_special_tokens=False).input_ids)
        takes_tokens, version = _probe(client, name, sample)
        versions = {} if version is None else {"sra-rag": version}
        returns_evidence = version is not None and _returns_evidence(client, name, sample)
        if takes_tokens:
            root_client = client.with_options(base_url=root_url(address))
            versions |= _version(root_client)
            _check_tokenizer(root_client, name, sample, address)
    root = card.get("root")
    return ServedModel(
        address, name, loaded, window, takes_tokens, versions,
        says_off=card.get("owned_by") == "sra-rag", source=root if isinstance(root, str) else None,
        returns_evidence=returns_evidence,
    )  # fmt: skip


def _cards(client: openai.OpenAI) -> list[Mapping[str, Any]]:
    # Not `client.models.list()`: it fails silently if the response is an HTML page.
    response: Any = client.get("/models", cast_to=object)
    cards = response.get("data") if isinstance(response, Mapping) else None
    return [
        card
        for card in (cards if isinstance(cards, list) else [])
        if isinstance(card, Mapping) and isinstance(card.get("id"), str)
    ]


def _choose(cards: Sequence[Mapping[str, Any]], model: str | None, address: str) -> Mapping[str, Any]:
    names = ", ".join(repr(card["id"]) for card in cards) or "none"
    if model is None and len(cards) == 1:
        return cards[0]
    if model is None:
        raise ConfigError(f"{address} serves {len(cards)} models. Select one with --model. Available models: {names}.")
    for card in cards:
        if card["id"] == model:
            return card
    raise ConfigError(f"{address} serves no model {model!r}. Available models: {names}.")


def _tokenizer(given: str | PathLike[str] | None, root: object, address: str) -> PreTrainedTokenizerBase:
    if given is not None:
        return load_tokenizer(given)
    if not isinstance(root, str) or not root:
        raise ConfigError(
            f"{address} does not report which model it serves. Pass the tokenizer with --tokenizer: a name on the "
            "Hugging Face Hub or a folder."
        )
    try:
        return load_tokenizer(root)
    except ModelLoadError as error:
        raise ModelLoadError(
            f"{address} reports the model {root!r}, but its tokenizer cannot be loaded here. Pass one with "
            f"--tokenizer: a name on the Hugging Face Hub or a folder. ({error})"
        ) from error


def _window(given: int | None, reported: object, address: str) -> int:
    if given is not None and given < 1:
        raise ConfigError(f"A context window of {given} tokens is not allowed: it must be at least 1.")
    limits = [limit for limit in (given, reported) if isinstance(limit, int)]
    if not limits:
        raise ConfigError(f"{address} does not report the size of its context window. Pass it with --window.")
    return min(limits)


def _probe(client: openai.OpenAI, name: str, tokens: list[int]) -> tuple[bool, str | None]:
    """Return whether the server accepts token ids as a prompt, and its sra-rag version (None without the plugin)."""
    for extra in ({"vllm_xargs": handshake.QUESTION}, {}):
        body = {"return_token_ids": True, **extra}
        try:
            response = client.completions.create(
                model=name, prompt=tokens, max_tokens=1, temperature=0, extra_body=body
            )
        except (
            openai.AuthenticationError, openai.PermissionDeniedError, openai.RateLimitError, openai.InternalServerError
        ):  # fmt: skip
            raise
        except openai.APIStatusError as error:
            if version := handshake.version_in(str(error)):
                return True, version
            continue
        # A server that interprets the tokens as something else does not return them.
        choices = getattr(response, "choices", None) or []
        returned = [(choice.model_extra or {}).get("prompt_token_ids") for choice in choices]
        return returned == [tokens], None
    return False, None


def _returns_evidence(client: openai.OpenAI, name: str, tokens: list[int]) -> bool:
    """Return whether the server returns attention: the only span here gets all of it, so the logarithm is 0."""
    look = {"sra_return_evidence": '{"spans": [[0, 1]], "heads": [[0, 0]]}', "sra_context_length": len(tokens) - 1}
    body = {"vllm_xargs": look, "return_tokens_as_token_ids": True}
    try:
        response = client.completions.create(
            model=name, prompt=tokens, max_tokens=1, temperature=0, logprobs=1, extra_body=body
        )
    except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
        logger.debug("%s does not return attention: %s", name, error)
        return False
    logprobs = response.choices[0].logprobs
    by_token: Mapping[str, float] = (logprobs.top_logprobs or [{}])[0] if logprobs is not None else {}
    return by_token.get("token_id:0") == 0


def _version(client: openai.OpenAI) -> dict[str, str]:
    try:
        response: Any = client.get("/version", cast_to=object)
    except openai.APIStatusError:
        return {}
    version = response.get("version") if isinstance(response, Mapping) else None
    return {"vllm": version} if isinstance(version, str) else {}


def _check_tokenizer(client: openai.OpenAI, name: str, sample: list[int], address: str) -> None:
    body = {"model": name, "prompt": _SAMPLE, "add_special_tokens": False}
    try:
        response: Any = client.post("/tokenize", cast_to=object, body=body)
    except openai.APIStatusError as error:
        logger.debug("%s: cannot compare the tokenizer with that of the server (%s).", address, error.status_code)
        return
    if isinstance(response, Mapping) and response.get("tokens") != sample:
        raise ConfigError(
            f"The tokenizer does not match the one of {name!r} on {address}: the same text gives different tokens. "
            "Pass the tokenizer of the model with --tokenizer."
        )
