"""Evidence for a model on a server: its heads and settings, found by its files, and what is chosen of a prompt.

The look is a request of its own. It returns the attention to each line of the context; what is chosen of it, and how,
is the same as for a model in this process.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import itertools
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from sra_rag.attention.evidence import TO_END
from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError
from sra_rag.evidence.weigh import candidate_counts, candidate_lines, evidence_of_look
from sra_rag.evidence_config import HeadChoice
from sra_rag.generation.prompts import EncodedPrompt, Span
from sra_rag.generation.result import FoundEvidence
from sra_rag.heads.head_search import EvidenceHead
from sra_rag.heads.known import UNMEASURED, best_heads, fitted_to, known_heads, settings_of
from sra_rag.models.fingerprint import fingerprint_of_files
from vllm_sra.client.own_server import MOST_NUMBERS
from vllm_sra.client.prompt_context import VLLMServerError
from vllm_sra.client.served_model import ServedModel
from vllm_sra.client.server_errors import server_errors

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["PreparedSettings", "ServedEvidence"]

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PreparedSettings:
    """The settings of one answer.

    Parameters
    ----------
    sra
        Settings that the server receives; None for off.
    arguments
        Arguments for the weighed spans.
    found
        What was chosen; None without evidence, or if the context has no passages.
    usage
        Usage of the request that returned the attention, as the server reports it.
    """

    sra: SRAConfig | None
    arguments: Mapping[str, str] = dataclasses.field(default_factory=dict)
    found: FoundEvidence | None = None
    usage: Any = None


class ServedEvidence:
    """The evidence heads and settings of a model on a server, known from its files on this machine.

    Parameters
    ----------
    model
        The model.
    """

    def __init__(self, model: ServedModel) -> None:
        self.model = model

    @property
    def known(self) -> bool:
        """Whether the evidence heads of the model are known on this machine."""
        return self._ranked is not None

    def fitted(self, sra: SRAConfig | None) -> SRAConfig | None:
        """Replace automatic evidence settings (without a weight) with the measured settings of the model."""
        if sra is None or sra.evidence is None or not sra.evidence.automatic:
            return sra
        return fitted_to(UNMEASURED if self._fingerprint is None else settings_of(self._fingerprint), sra)

    def heads(self, choice: HeadChoice) -> tuple[tuple[int, int], ...] | None:
        """Return the heads that a setting chooses, as pairs of layer and query head; None for all.

        Raises
        ------
        ConfigError
            If the setting is a number of heads, and the heads of the model are not known on this machine.
        """
        if choice == "all":
            return None
        if not isinstance(choice, int):
            return choice
        if self._ranked is None:
            raise ConfigError(
                f"The evidence heads of {self.model.name!r} on {self.model.address} are not known here: they are found "
                "from the files of the model on this machine. Run sra-rag heads --model with these files, or give the "
                "heads, such as evidence=4,evidence.look=18.7+17.4,evidence.heads=all (layer.head)."
            )
        return best_heads(self._ranked, choice)

    async def prepared(
        self, client: AsyncOpenAI, prompt: EncodedPrompt, sra: SRAConfig | None, salt: str | None, where: str
    ) -> PreparedSettings:
        """Find the evidence in a prompt, if the settings have evidence.

        Parameters
        ----------
        client
            Client of the server.
        prompt
            The prompt.
        sra
            Settings, from `fitted`.
        salt
            See `vllm_sra.client.served_request.settings_body`.
        where
            Name of the server in error messages.

        Raises
        ------
        ConfigError
            If the server rejects the request for the attention.
        VLLMServerError
            If it cannot be reached, fails, or returns something else.
        """
        if sra is None or sra.evidence is None:
            return PreparedSettings(sra)
        if not prompt.has_passages:
            return PreparedSettings(_without_evidence(sra))
        heads, by_row = self.heads(sra.evidence.look), sra.evidence.passages == "named" and _fits_by_row(prompt)
        try:
            response = await self._look(client, _look_body(prompt, heads, salt, by_row=by_row), where)
        except ConfigError as error:
            if not by_row:
                raise
            # Too few log-probabilities are returned, or the server has an earlier release: one passage is weighed then.
            logger.info("%s does not tell the words of a question apart: %s", where, error)
            by_row = False
            response = await self._look(client, _look_body(prompt, heads, salt, by_row=by_row), where)
        look, rows = _shares(prompt, response, where), _row_shares(prompt, response) if by_row else None
        # In another thread, so that other requests go on while words are compared.
        found = await asyncio.to_thread(evidence_of_look, self.model.tokenizer, prompt, look[None], sra.evidence, rows)
        if not found.spans:
            return PreparedSettings(_without_evidence(sra), {}, found, response.usage)
        heads = self.heads(sra.evidence.heads)
        evidence = sra.evidence.replace(heads="all" if heads is None else heads, look="all")
        weighed = [
            [first, None if last == TO_END else last, weight]
            for (first, last), weight in zip(found.spans, found.weights, strict=True)
        ]
        arguments = {"sra_evidence": json.dumps(weighed)}
        return PreparedSettings(sra.replace(evidence=evidence), arguments, found, response.usage)

    async def _look(self, client: AsyncOpenAI, body: dict[str, Any], where: str) -> Any:
        try:
            with server_errors(where):
                return await client.completions.create(model=self.model.name, **body)
        except ConfigError as error:
            if "logprobs" not in str(error):
                raise
            raise ConfigError(
                f"{error} The evidence of this prompt is chosen by {body['logprobs']} numbers: start vLLM with "
                "--max-logprobs of at least as many, such as 4096."
            ) from error

    @functools.cached_property
    def _fingerprint(self) -> str | None:
        folder = _local_folder(self.model.source)
        return None if folder is None else fingerprint_of_files(folder)

    @functools.cached_property
    def _ranked(self) -> tuple[EvidenceHead, ...] | None:
        return None if self._fingerprint is None else known_heads(self._fingerprint)


def _without_evidence(sra: SRAConfig) -> SRAConfig | None:
    """Return the settings where nothing stands out: nothing is sharpened either; see `sra_rag.evidence.weigh.weigh`."""
    return sra.replace(evidence=None) if sra.rows == "all" else None


def _look_body(
    prompt: EncodedPrompt, heads: Sequence[tuple[int, int]] | None, salt: str | None, *, by_row: bool
) -> dict[str, Any]:
    """Return the request for the attention of heads (None for all) to the lines of a prompt."""
    spans = _spans(prompt)
    look: dict[str, Any] = {"spans": spans, "heads": "all" if heads is None else heads}
    if by_row:
        look["passages"] = [count for count in _counts(prompt) if count]
    extra: dict[str, Any] = {
        "vllm_xargs": {"sra_return_evidence": json.dumps(look), "sra_context_length": prompt.context_length},
        "return_tokens_as_token_ids": True,
    }
    return {
        "prompt": list(prompt.token_ids),
        "max_tokens": 1,
        "temperature": 0.0,
        "logprobs": len(spans) + (_n_by_row(prompt) if by_row else 0),
        "extra_body": extra if salt is None else extra | {"cache_salt": salt},
    }


def _shares(prompt: EncodedPrompt, response: Any, where: str) -> torch.Tensor:
    """Return the share of each line of a prompt, ``(lines,)``, float32."""
    count = len(_spans(prompt))
    returned = _returned(response, range(count))
    if len(returned) < count or math.exp(max(returned)) == 0:
        raise VLLMServerError(
            f"{where} returned no attention to the {count} lines of the context. Either it put the request off while "
            "it read the question (send it again), or it has another release of sra-rag."
        )
    shares = iter(returned)
    of_lines = [math.exp(next(shares)) if last > first else 0.0 for first, last in candidate_lines(prompt)]
    return torch.tensor(of_lines) / sum(of_lines)


def _row_shares(prompt: EncodedPrompt, response: Any) -> torch.Tensor | None:
    """Return the share of each passage in the attention of each row, ``(rows, candidates)``; None if not returned."""
    first = len(_spans(prompt))
    returned = _returned(response, range(first, first + _n_by_row(prompt)))
    if len(returned) < _n_by_row(prompt):
        return None
    counts = torch.tensor(_counts(prompt))
    shares = torch.tensor(returned).exp().view(-1, int((counts > 0).sum()))
    rows = torch.zeros(len(shares), len(counts))
    rows[:, counts > 0] = shares / shares.sum(dim=1, keepdim=True)
    return rows


def _returned(response: Any, tokens: range) -> list[float]:
    """Return the log-probabilities of tokens, without those that were not returned."""
    logprobs = response.choices[0].logprobs
    by_token: Mapping[str, float] = (logprobs.top_logprobs or [{}])[0] if logprobs is not None else {}
    return [by_token[name] for token in tokens if (name := f"token_id:{token}") in by_token]


def _counts(prompt: EncodedPrompt) -> list[int]:
    """Return how many lines with a token each passage has that evidence is chosen from."""
    lines = iter(candidate_lines(prompt))
    return [sum(last > first for first, last in itertools.islice(lines, count)) for count in candidate_counts(prompt)]


def _n_by_row(prompt: EncodedPrompt) -> int:
    """Return how many numbers tell how each row after the context attends to each passage."""
    return (len(prompt.token_ids) - prompt.context_length) * sum(count > 0 for count in _counts(prompt))


def _fits_by_row(prompt: EncodedPrompt) -> bool:
    """Whether so many numbers are asked for at most; else one passage is weighed."""
    return len(_spans(prompt)) + _n_by_row(prompt) <= MOST_NUMBERS


def _spans(prompt: EncodedPrompt) -> list[Span]:
    """Return the lines that have a token; a line without one has no share."""
    return [(first, last) for first, last in candidate_lines(prompt) if last > first]


def _local_folder(source: str | None) -> Path | None:
    """Return the folder with the files of a model, from a path or from the local cache of the hub."""
    if source is None:
        return None
    if Path(source).is_dir():
        return Path(source)
    try:
        config = try_to_load_from_cache(source, "config.json")
    except HFValidationError:
        return None
    return Path(config).parent if isinstance(config, str) else None
