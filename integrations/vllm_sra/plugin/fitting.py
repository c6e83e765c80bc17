"""Rejects settings that do not fit the model when a request arrives. In a worker the error would end the server."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vllm.exceptions import VLLMValidationError
from vllm.platforms import current_platform
from vllm.v1.engine.input_processor import InputProcessor

from sra_rag.attention.session import Session
from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError
from vllm_sra.gpu.factor_rules import line
from vllm_sra.plugin.request_settings import read_settings

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
        text = vllm_config.model_config.hf_text_config
        check = functools.partial(_check, self.validate_logits_processors_params)
        self.validate_logits_processors_params = functools.partial(
            check, text.num_hidden_layers, text.num_attention_heads
        )

    setattr(fitted, _MARK, True)
    InputProcessor.__init__ = fitted


def _check(others: Callable[[SamplingParams], None], n_layers: int, n_heads: int, params: SamplingParams) -> None:
    others(params)
    settings = read_settings(params.extra_args)
    if settings is None:
        return
    try:
        _fit(settings.sra, n_layers, n_heads)
    except ConfigError as error:
        raise VLLMValidationError(str(error)) from error


@functools.lru_cache(maxsize=1024)
def _fit(sra: SRAConfig, n_layers: int, n_heads: int) -> None:
    Session(sra, n_layers, n_heads, context_length=0, prompt_length=0)
    if not current_platform.is_cpu():
        line(sra)  # the GPU kernel supports only policies that are a straight line
