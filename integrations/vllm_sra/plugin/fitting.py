"""Rejects settings that do not fit the model when a request arrives. In a worker the error would end the server."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vllm.exceptions import VLLMValidationError
from vllm.platforms import current_platform
from vllm.v1.engine.input_processor import InputProcessor

from sra_rag.attention.session import Session
from sra_rag.errors import ConfigError
from vllm_sra.gpu.factor_rules import line
from vllm_sra.plugin.request_evidence import EVIDENCE, RETURN_EVIDENCE, LookRequest
from vllm_sra.plugin.request_settings import RequestSettings, read_settings

if TYPE_CHECKING:
    from vllm import SamplingParams
    from vllm.config import VllmConfig

__all__ = ["refuse_unfit_settings"]

_MARK = "fitted_by_sra"


def refuse_unfit_settings() -> None:
    """Make vLLM's front end validate settings for its model. Repeated calls have no effect.

    vLLM has no public API for this: `validate_params` of a logits processor receives the parameters of a request, but
    not the model. So the validation of each front end is extended when the front end is created.
    ``tests/vllm_sra/test_refusals.py`` fails if vLLM moves it.
    """
    plain = InputProcessor.__init__
    if getattr(plain, _MARK, False):
        return

    @functools.wraps(plain)
    def fitted(self: InputProcessor, vllm_config: VllmConfig, *args: Any, **kwargs: Any) -> None:
        plain(self, vllm_config, *args, **kwargs)
        self.validate_logits_processors_params = functools.partial(
            _check, self.validate_logits_processors_params, vllm_config
        )

    setattr(fitted, _MARK, True)
    InputProcessor.__init__ = fitted


def _check(others: Callable[[SamplingParams], None], vllm_config: VllmConfig, params: SamplingParams) -> None:
    others(params)
    settings = read_settings(params.extra_args)
    if settings is None:
        return
    text = vllm_config.model_config.hf_text_config
    try:
        _fit(settings, text.num_hidden_layers, text.num_attention_heads)
        if settings.look is not None:
            _refuse_look(settings.look, vllm_config, params)
    except ConfigError as error:
        raise VLLMValidationError(str(error)) from error


@functools.lru_cache(maxsize=1024)
def _fit(settings: RequestSettings, n_layers: int, n_heads: int) -> None:
    Session(settings.sra, n_layers, n_heads, context_length=0, prompt_length=0)
    if not current_platform.is_cpu():
        line(settings.sra)  # the GPU kernel supports only policies that are a straight line
    for heads in (part.heads for part in (settings.evidence, settings.look) if part is not None):
        for layer, head in heads or ():
            if layer >= n_layers or head >= n_heads:
                raise ConfigError(
                    f"The evidence names head {layer}.{head}, but the model has {n_layers} layers of {n_heads} heads "
                    f"(0.0 to {n_layers - 1}.{n_heads - 1})."
                )


def _refuse_look(look: LookRequest, vllm_config: VllmConfig, params: SamplingParams) -> None:
    """Reject a request to return attention if it could not be computed or returned."""
    parallel, spans = vllm_config.parallel_config, len(look.spans)
    if parallel.pipeline_parallel_size > 1:
        raise ConfigError(
            f"{RETURN_EVIDENCE} is not supported with pipeline parallelism: each worker observes only its own layers, "
            f"and the last one samples. Give the spans in {EVIDENCE}, or serve with tensor parallelism instead."
        )
    shares = max(spans, params.logprobs or 0)
    if shares >= vllm_config.model_config.get_vocab_size():
        raise ConfigError(
            f"{RETURN_EVIDENCE} has {shares} shares, but the vocabulary of the model has not more tokens."
        )
    by_row = shares - spans  # the number of rows is not known here
    fits = by_row > 0 and by_row % len(look.passages) == 0 if look.passages else by_row == 0
    if params.max_tokens != 1 or params.n != 1 or params.logprobs != shares or not fits:
        rows = f", and for each row after the context {len(look.passages)}, the number of passages"
        raise ConfigError(
            f"{RETURN_EVIDENCE} returns the share of span i as the log-probability of token i. Request one token "
            f"(max_tokens=1, n=1) with logprobs={spans}, the number of spans{rows if look.passages else ''}."
        )
