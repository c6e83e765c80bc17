"""The position of each request in the batch, and its settings.

vLLM passes no information about requests to attention backends. It does report to logits processors, before each
forward pass, the position of each request in the batch. So a logits processor that does not change the logits maintains
the table that the attention backend reads.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from vllm.platforms import current_platform
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor, MoveDirectionality
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsProcessor as RunnerV2LogitsProcessor

from sra_rag.errors import ConfigError
from vllm_sra.plugin import handshake
from vllm_sra.plugin.batch import BatchEntry
from vllm_sra.plugin.caching import blocks_are_salted
from vllm_sra.plugin.registration import served_on
from vllm_sra.plugin.request_settings import read_settings
from vllm_sra.plugin.servable_models import refuse_configuration
from vllm_sra.plugin.workers import refuse_different_workers

if TYPE_CHECKING:
    from vllm import SamplingParams
    from vllm.config import VllmConfig

__all__ = ["RequestTable", "SRALogitsProcessor", "request_table"]


class RequestTable:
    """The requests with settings in the batch of a worker, by their index in the batch."""

    def __init__(self) -> None:
        self.entries: dict[int, BatchEntry] = {}

    def update(self, update: BatchUpdate) -> None:
        """Apply a change of the batch: first removed, then added, then moved requests."""
        for index in update.removed:
            self.entries.pop(index, None)
        for index, params, prompt, _ in update.added:
            settings = read_settings(params.extra_args)
            if settings is None:
                self.entries.pop(index, None)
            else:
                look = None if settings.look is None else settings.look.start(settings.context_length or 0)
                self.entries[index] = BatchEntry(settings, settings.own_prompt(len(prompt or ())), look)
        for source, target, direction in update.moved:
            moved = self.entries.pop(source, None)
            other = self.entries.pop(target, None)
            if moved is not None:
                self.entries[target] = moved
            if other is not None and direction == MoveDirectionality.SWAP:
                self.entries[source] = other


_TABLES: dict[int, RequestTable] = {}


def request_table(vllm_config: VllmConfig) -> RequestTable:
    """Return the table of a worker, identified by its `vllm_config`, which all parts of the worker share."""
    key = id(vllm_config)
    if key not in _TABLES:
        _TABLES[key] = RequestTable()
        weakref.finalize(vllm_config, _TABLES.pop, key, None)
    return _TABLES[key]


# Implements both interfaces of vLLM, because the second model runner does not start with a processor of the first kind.
# The second interface is never used: with the plugin on, `register` selects the first model runner.
class SRALogitsProcessor(LogitsProcessor, RunnerV2LogitsProcessor):
    """Maintains the table of requests and validates their settings; does not change the logits."""

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Reject settings that are not allowed: the client receives status 400 with the reason."""
        reattends = blocks_are_salted()
        if reattends:
            handshake.answer(sampling_params.extra_args)
        if read_settings(sampling_params.extra_args) is None or reattends:
            return
        # vLLM loads this class whenever it is installed, regardless of VLLM_PLUGINS.
        if not served_on(current_platform):
            raise ConfigError(
                "Reattention inside vLLM is supported on CPUs, CUDA and ROCm; this server runs on "
                f"{current_platform.device_name}. Remove sra from the request."
            )
        raise ConfigError(
            "This server was started without reattention (VLLM_PLUGINS without sra). Remove sra from the request, "
            "or start the server with the plugin."
        )

    def __init__(self, vllm_config: VllmConfig, *_: Any) -> None:
        if blocks_are_salted():  # here, because every worker creates this object before it loads the model
            refuse_configuration(vllm_config)
        refuse_different_workers()
        self._table = request_table(vllm_config)

    @property
    def observed(self) -> Mapping[int, BatchEntry]:
        """The requests that return attention, by their index in the batch."""
        return {index: entry for index, entry in self._table.entries.items() if entry.look is not None}

    def is_argmax_invariant(self) -> bool:
        """Return True: greedy decoding does not need this processor."""
        return True

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Update the table after a change of the batch."""
        if batch_update is not None:
            self._table.update(batch_update)

    def add_request(self, *_: Any) -> bool:
        """Return False: there is no work for the second model runner."""
        return False

    def apply(self, logits: torch.Tensor, *_: Any) -> torch.Tensor:
        """Return the logits unchanged."""
        return logits
