"""Find out about a model on a server what asking it takes: its name, tokenizer and window, and whether it reattends."""

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
_PATIENCE = openai.Timeout(60.0, connect=10.0)  # seconds


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """A model on a server.

    Parameters
    ----------
    address
        Of the API, without any secret.
    name
        As the server calls it.
    tokenizer
        The model's.
    context_window
        Tokens of prompt and answer together.
    takes_tokens
        Whether prompts may be tokens, as vLLM takes them; else they are messages, which the server makes a prompt of.
    versions
        Of the programs there, as far as they are known: ``vllm``, and ``sra-rag`` where settings are honoured.
    says_off
        Whether it is ``sra-rag serve``, which may have settings of its own unless a request says that it wants none.
    """

    address: str
    name: str
    tokenizer: PreTrainedTokenizerBase = dataclasses.field(repr=False)
    context_window: int
    takes_tokens: bool
    versions: Mapping[str, str]
    says_off: bool = False

    @property
    def reattends(self) -> bool:
        """Whether it honours settings of the attention."""
        return "sra-rag" in self.versions


def find_model(
    address: str,
    *,
    model: str | None = None,
    tokenizer: str | PathLike[str] | None = None,
    api_key: str | None = None,
    context_window: int | None = None,
) -> ServedModel:
    """Ask a server about its model.

    Parameters
    ----------
    address
        Such as ``http://localhost:8000/v1``.
    model
        As the server calls it; by default its only one.
    tokenizer
        Name or folder of the model's tokenizer; by default what the server says its model is.
    api_key
        Where the server asks for one.
    context_window
        Tokens, at most the server's; needed only where the server does not tell.

    Raises
    ------
    ConfigError
        If the model is not there, or what the server does not tell was not given.
    ModelLoadError
        If the tokenizer cannot be loaded.
    VLLMServerError
        If the server cannot be reached, or fails.
    """
    address = base_url(address)
    client = openai.OpenAI(base_url=address, api_key=api_key or "none", timeout=_PATIENCE)
    with client, server_errors(address):
        card = _choose(_cards(client), model, address)
        name = card["id"]
        loaded = _tokenizer(tokenizer, card.get("root"), address)
        window = _window(context_window, card.get("max_model_len"), address)
        sample = list(loaded(_SAMPLE, add_special_tokens=False).input_ids)
        takes_tokens, version = _probe(client, name, sample)
        versions = {} if version is None else {"sra-rag": version}
        if takes_tokens:
            there = client.with_options(base_url=root_url(address))
            versions |= _version(there)
            _check_tokenizer(there, name, sample, address)
    return ServedModel(address, name, loaded, window, takes_tokens, versions, card.get("owned_by") == "sra-rag")


def _cards(client: openai.OpenAI) -> list[Mapping[str, Any]]:
    # The client's own list of models fails without a word where the answer is a page of HTML.
    said: Any = client.get("/models", cast_to=object)
    cards = said.get("data") if isinstance(said, Mapping) else None
    found = cards if isinstance(cards, list) else []
    return [card for card in found if isinstance(card, Mapping) and isinstance(card.get("id"), str)]


def _choose(cards: Sequence[Mapping[str, Any]], wanted: str | None, address: str) -> Mapping[str, Any]:
    names = ", ".join(repr(card["id"]) for card in cards) or "none"
    if wanted is None and len(cards) == 1:
        return cards[0]
    if wanted is None:
        raise ConfigError(f"{address} serves {len(cards)} models, so one has to be named (--model). There are {names}.")
    for card in cards:
        if card["id"] == wanted:
            return card
    raise ConfigError(f"{address} serves no model {wanted!r}. There are {names}.")


def _tokenizer(given: str | PathLike[str] | None, root: object, address: str) -> PreTrainedTokenizerBase:
    if given is not None:
        return load_tokenizer(given)
    if not isinstance(root, str) or not root:
        raise ConfigError(
            f"{address} does not say which model it is, so its tokenizer has to be named (--tokenizer): a name on "
            "the hub or a folder."
        )
    try:
        return load_tokenizer(root)
    except ModelLoadError as error:
        raise ModelLoadError(
            f"{address} says that its model is {root!r}, of which there is no tokenizer here. Name one (--tokenizer): "
            f"a name on the hub or a folder. ({error})"
        ) from error


def _window(given: int | None, told: object, address: str) -> int:
    if given is not None and given < 1:
        raise ConfigError(f"A window of {given} tokens is not allowed: it must be at least 1.")
    known = [window for window in (given, told) if isinstance(window, int)]
    if not known:
        raise ConfigError(f"{address} does not say how many tokens its model's window holds. Give --window.")
    return min(known)


def _probe(client: openai.OpenAI, name: str, tokens: list[int]) -> tuple[bool, str | None]:
    """Return whether prompts may be tokens, and the version of sra-rag there."""
    for more in ({"vllm_xargs": handshake.QUESTION}, {}):
        body = {"return_token_ids": True, **more}
        try:
            said = client.completions.create(model=name, prompt=tokens, max_tokens=1, temperature=0, extra_body=body)
        except (
            openai.AuthenticationError, openai.PermissionDeniedError, openai.RateLimitError, openai.InternalServerError
        ):  # fmt: skip
            raise
        except openai.APIStatusError as error:
            if version := handshake.version_in(str(error)):
                return True, version
            continue
        # A server that takes them for something else does not give them back.
        choices = getattr(said, "choices", None) or []
        given_back = [(choice.model_extra or {}).get("prompt_token_ids") for choice in choices]
        return given_back == [tokens], None
    return False, None


def _version(there: openai.OpenAI) -> dict[str, str]:
    try:
        said: Any = there.get("/version", cast_to=object)
    except openai.APIStatusError:
        return {}
    version = said.get("version") if isinstance(said, Mapping) else None
    return {"vllm": version} if isinstance(version, str) else {}


def _check_tokenizer(there: openai.OpenAI, name: str, sample: list[int], address: str) -> None:
    body = {"model": name, "prompt": _SAMPLE, "add_special_tokens": False}
    try:
        said: Any = there.post("/tokenize", cast_to=object, body=body)
    except openai.APIStatusError as error:
        logger.debug("%s: the tokenizer could not be compared with the server's (%s).", address, error.status_code)
        return
    if isinstance(said, Mapping) and said.get("tokens") != sample:
        raise ConfigError(
            f"The tokenizer is not that of {name!r} on {address}: the same text becomes other tokens there. Name the "
            "model's own with --tokenizer."
        )
