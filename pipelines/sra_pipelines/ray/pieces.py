"""Pieces of work through Ray Data: each goes to one of the workers, and results come back as they are done.

A worker is an actor that loads its model by itself, once: no model travels. What travels are a JSON text and bytes,
both ways. A worker that does not fit refuses in words instead of raising, for Ray would start it anew, again and again.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import torch

from sra_pipelines.ray.cluster import RayError, Workers
from sra_pipelines.ray.versions import require_versions
from sra_rag.errors import SRAError

__all__ = ["Piece", "RayWorker", "work_on_ray"]


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """What goes to a worker, or comes from it.

    Parameters
    ----------
    said
        JSON-ready values.
    data
        What JSON does not hold well.
    """

    said: Mapping[str, Any]
    data: bytes = b""


class RayWorker(ABC):
    """One of the workers: a subclass says what it loads and what it does.

    Parameters
    ----------
    versions
        Of packages, which have to be the same here; see `sra_pipelines.ray.versions`.
    threads
        For PyTorch.
    **arguments
        Of `load`.
    """

    def __init__(self, versions: Mapping[str, str], threads: int, **arguments: Any) -> None:
        torch.set_num_threads(threads)
        self._refusal = ""
        try:
            require_versions(versions)
            self.load(**arguments)
        except SRAError as error:
            self._refusal = str(error)

    @abstractmethod
    def load(self, **arguments: Any) -> None:
        """Load what `work` needs; an `SRAError` refuses all work, and ends the run with its words."""

    @abstractmethod
    def work(self, piece: Piece) -> Piece:
        """Do a piece of work; an `SRAError` ends the run with its words."""

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Take a row of Ray Data and return another."""
        done, refusal = Piece({}), self._refusal
        if not refusal:
            try:
                done = self.work(Piece(json.loads(row["said"]), row["data"]))
            except SRAError as error:
                refusal = str(error)
        refusal = refusal and f"A worker on {platform.node()} refuses: {refusal}"
        return {"refusal": refusal, "said": json.dumps(done.said), "data": done.data}


def work_on_ray(
    pieces: Sequence[Piece],
    worker: Callable[..., RayWorker],
    workers: Workers,
    *,
    versions: Mapping[str, str],
    arguments: Mapping[str, Any],
) -> Generator[Piece, None, None]:
    """Send pieces through workers. Ray has to be connected; closing the iterator ends the work.

    Parameters
    ----------
    pieces
        All there are; they are in memory, and in Ray's.
    worker
        A subclass of `RayWorker` in a module that is installed on every node.
    workers
        How many, from `place_workers`.
    versions, arguments
        Of the workers.

    Yields
    ------
    Piece
        What each made of one, in the order in which they are done.

    Raises
    ------
    RayError
        If a worker refuses, or Ray gives up.
    """
    if not pieces:
        return
    import ray
    import ray.data

    rows = [{"said": json.dumps(piece.said), "data": piece.data} for piece in pieces]
    # One row a block: each comes back when it is done, and no worker waits behind another's rows.
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        worker,
        compute=ray.data.ActorPoolStrategy(size=workers.count, max_tasks_in_flight_per_actor=1),
        num_cpus=workers.cpus,
        num_gpus=workers.gpus or None,
        fn_constructor_kwargs={"versions": versions, "threads": workers.cpus, **arguments},
    )
    dataset.context.enable_progress_bars = False
    dataset.context.print_on_execution_start = False
    try:
        for row in dataset.iter_rows():
            if row["refusal"]:
                raise RayError(row["refusal"])
            yield Piece(json.loads(row["said"]), row["data"])
    except (ray.exceptions.RayError, ray.data.exceptions.ExecutionTimeoutError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise RayError(
            f"Ray gave up: {lines[-1].strip()} See that sra-rag is installed on every node, and for more the logs of "
            "Ray ('ray logs', or /tmp/ray/session_latest/logs)."
        ) from error
