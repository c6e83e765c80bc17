"""Which request stands at which place of a batch, and what it asks for.

vLLM tells attention backends nothing of requests. It does tell logits processors, before each forward pass, which
request stands where; so one that leaves the logits alone keeps the table that the attention reads.
"""

from __future__ import annotations

import weakref
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
    """The requests of a worker's batch that have settings, by their place."""

    def __init__(self) -> None:
        self.entries: dict[int, BatchEntry] = {}

    def update(self, update: BatchUpdate) -> None:
        """Follow a change of the batch: removed, then added, then moved."""
        for index in update.removed:
            self.entries.pop(index, None)
        for index, params, prompt, _ in update.added:
            settings = read_settings(params.extra_args)
            if settings is None:
                self.entries.pop(index, None)
            else:
                self.entries[index] = BatchEntry(settings, settings.own_prompt(len(prompt or ())))
        for source, target, direction in update.moved:
            moved = self.entries.pop(source, None)
            other = self.entries.pop(target, None)
            if moved is not None:
                self.entries[target] = moved
            if other is not None and direction == MoveDirectionality.SWAP:
                self.entries[source] = other


_TABLES: dict[int, RequestTable] = {}


def request_table(vllm_config: VllmConfig) -> RequestTable:
    """Return the table of a worker; the worker's one `vllm_config` is what its parts have in common."""
    key = id(vllm_config)
    if key not in _TABLES:
        _TABLES[key] = RequestTable()
        weakref.finalize(vllm_config, _TABLES.pop, key, None)
    return _TABLES[key]


# Of both of vLLM's interfaces, for the runner of the second kind refuses to start beside a processor of the first. It
# never has work there: `register` chooses the first where the plugin is on.
class SRALogitsProcessor(LogitsProcessor, RunnerV2LogitsProcessor):
    """Keeps the table of requests; checks what requests ask for when they come in; changes no logit."""

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Refuse settings that are not allowed: the client gets status 400 with the reason."""
        reattends = blocks_are_salted()
        if reattends:
            handshake.answer(sampling_params.extra_args)
        if read_settings(sampling_params.extra_args) is None or reattends:
            return
        # vLLM loads this class wherever it is installed, whatever VLLM_PLUGINS says.
        if not served_on(current_platform):
            raise ConfigError(
                "vLLM is served with reattention on CPUs, on CUDA and on ROCm; this server runs on "
                f"{current_platform.device_name}. Leave sra out of the request."
            )
        raise ConfigError(
            "This server was started without reattention (VLLM_PLUGINS without sra). Leave sra out of the request, "
            "or start the server with the plugin."
        )

    def __init__(self, vllm_config: VllmConfig, *_: Any) -> None:
        if blocks_are_salted():  # here, because every worker comes by before it loads the model
            refuse_configuration(vllm_config)
        refuse_different_workers()
        self._table = request_table(vllm_config)

    def is_argmax_invariant(self) -> bool:
        """Say that greedy decoding need not call it."""
        return True

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow the batch."""
        if batch_update is not None:
            self._table.update(batch_update)

    def add_request(self, *_: Any) -> bool:
        """Say that the second runner has nothing to ask of it."""
        return False

    def apply(self, logits: torch.Tensor, *_: Any) -> torch.Tensor:
        """Return the logits as they are."""
        return logits
