"""Consistency check of the workers of one model, on any number of nodes.

If one worker sharpened other rows than the others, every answer would be wrong without an error. So each worker must
have the plugin, in the same release, and the same default settings. The workers compare these before the model is
loaded.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import os
from typing import TYPE_CHECKING

import torch

from sra_rag.errors import ConfigError
from vllm_sra.plugin.request_settings import DEFAULT_VARIABLE

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

__all__ = ["carry_default_to_ray", "refuse_differences", "refuse_different_workers"]

_EXTRA_VARIABLES = "VLLM_RAY_EXTRA_ENV_VARS_TO_COPY"
_TIMEOUT = datetime.timedelta(minutes=5)


def carry_default_to_ray() -> None:
    """Make vLLM copy the default settings of this process to the workers that it starts with Ray."""
    names = [name.strip() for name in os.environ.get(_EXTRA_VARIABLES, "").split(",") if name.strip()]
    if DEFAULT_VARIABLE in os.environ and DEFAULT_VARIABLE not in names:
        os.environ[_EXTRA_VARIABLES] = ",".join([*names, DEFAULT_VARIABLE])


def refuse_different_workers() -> None:
    """Compare this worker with the others. Every worker must call it once.

    Raises
    ------
    ConfigError
        If a worker has other default settings, another release of sra-rag, or no plugin.
    """
    from vllm.distributed import get_world_group

    if torch.distributed.is_initialized() and get_world_group().world_size > 1:
        default = os.environ.get(DEFAULT_VARIABLE, "off").strip()
        refuse_differences(get_world_group().cpu_group, f"{default}, sra-rag {importlib.metadata.version('sra-rag')}")


def refuse_differences(group: ProcessGroup, mine: str, timeout: datetime.timedelta = _TIMEOUT) -> None:
    """Raise if the processes of a group do not all have the same value.

    Parameters
    ----------
    group
        Group of processes on CPU (gloo).
    mine
        Value of this process.
    timeout
        Maximum time to wait for the other processes.

    Raises
    ------
    ConfigError
        If the values differ, or a process does not take part in the comparison.
    """
    try:
        torch.distributed.monitored_barrier(group, timeout=timeout, wait_all_ranks=True)
    except RuntimeError as error:
        raise ConfigError(
            f"Not all workers of this model have reattention: {error}. Install sra-rag on every node, and set "
            "VLLM_PLUGINS on all nodes or on none."
        ) from error
    fingerprint = int.from_bytes(hashlib.sha256(mine.encode()).digest()[:8], signed=True)
    own = torch.tensor([fingerprint])
    fingerprints = [torch.zeros_like(own) for _ in range(torch.distributed.get_world_size(group))]
    torch.distributed.all_gather(fingerprints, own, group=group)
    others = [rank for rank, other in enumerate(fingerprints) if other.item() != fingerprint]
    if others:
        raise ConfigError(
            f"The workers of this model differ in {DEFAULT_VARIABLE} or in the release of sra-rag: this one has "
            f"{mine}; those of rank {', '.join(map(str, others))} have another. Use the same on all nodes."
        )
