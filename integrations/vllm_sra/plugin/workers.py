"""What the workers of one model must have in common, on however many nodes they run.

A worker that does not sharpen what its neighbours sharpen would spoil each answer, and nobody would see it. So each has
to have the plugin, in the same release, and the same settings for requests that bring none. They
compare that before the model is loaded.
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
_PATIENCE = datetime.timedelta(minutes=5)


def carry_default_to_ray() -> None:
    """Have vLLM hand the default of this process on to the workers that it starts with Ray."""
    names = [name.strip() for name in os.environ.get(_EXTRA_VARIABLES, "").split(",") if name.strip()]
    if DEFAULT_VARIABLE in os.environ and DEFAULT_VARIABLE not in names:
        os.environ[_EXTRA_VARIABLES] = ",".join([*names, DEFAULT_VARIABLE])


def refuse_different_workers() -> None:
    """Compare this worker with the others; every worker calls it, once.

    Raises
    ------
    ConfigError
        If one of them has another default or another release of sra-rag, or does not have the plugin.
    """
    from vllm.distributed import get_world_group

    if torch.distributed.is_initialized() and get_world_group().world_size > 1:
        default = os.environ.get(DEFAULT_VARIABLE, "off").strip()
        refuse_differences(get_world_group().cpu_group, f"{default}, sra-rag {importlib.metadata.version('sra-rag')}")


def refuse_differences(group: ProcessGroup, mine: str, patience: datetime.timedelta = _PATIENCE) -> None:
    """Compare what each process of a group says.

    Parameters
    ----------
    group
        Of processes on CPU (gloo).
    mine
        What this one says.
    patience
        How long the first waits for the others.

    Raises
    ------
    ConfigError
        If they do not say the same, or one says nothing.
    """
    try:
        torch.distributed.monitored_barrier(group, timeout=patience, wait_all_ranks=True)
    except RuntimeError as error:
        raise ConfigError(
            f"Not all workers of this model have reattention: {error}. Install sra-rag on each node, and set "
            "VLLM_PLUGINS on all of them or on none."
        ) from error
    number = int.from_bytes(hashlib.sha256(mine.encode()).digest()[:8], signed=True)
    own = torch.tensor([number])
    found = [torch.zeros_like(own) for _ in range(torch.distributed.get_world_size(group))]
    torch.distributed.all_gather(found, own, group=group)
    others = [rank for rank, said in enumerate(found) if said.item() != number]
    if others:
        raise ConfigError(
            f"The workers of this model differ in {DEFAULT_VARIABLE} or in the release of sra-rag: this one has "
            f"{mine}; those of rank {', '.join(map(str, others))} have another. Give all nodes the same."
        )
