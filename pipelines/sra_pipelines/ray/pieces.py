"""Process pieces of work with Ray Data: each goes to one worker, and results are returned as they are completed.

A worker is an actor that loads its own model once, so models are not transferred; requests and results are JSON and
bytes. An incompatible worker returns a refusal instead of raising, because Ray would restart it repeatedly.
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
    """A request to a worker, or its result.

    Parameters
    ----------
    said
        JSON-ready values.
    data
        Binary data.
    """

    said: Mapping[str, Any]
    data: bytes = b""


class RayWorker(ABC):
    """Base class of workers; a subclass implements `load` and `work`.

    Parameters
    ----------
    versions
        Required package versions, see `sra_pipelines.ray.versions`.
    threads
        Number of threads for PyTorch.
    **arguments
        Arguments of `load`.
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
        """Load the resources for `work`. An `SRAError` refuses all work and stops the run with its message."""

    @abstractmethod
    def work(self, piece: Piece) -> Piece:
        """Process a piece of work. An `SRAError` stops the run with its message."""

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Process a row of Ray Data."""
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
    """Process pieces with workers on the connected cluster; closing the iterator stops the work.

    Parameters
    ----------
    pieces
        All pieces; they are held in memory, and in the object store of Ray.
    worker
        Subclass of `RayWorker` in a module that is installed on each node.
    workers
        Number and resources of the workers, from `place_workers`.
    versions, arguments
        Arguments of the workers.

    Yields
    ------
    Piece
        The result of each piece, in order of completion.

    Raises
    ------
    RayError
        If a worker refuses, or Ray fails.
    """
    if not pieces:
        return
    import ray
    import ray.data

    rows = [{"said": json.dumps(piece.said), "data": piece.data} for piece in pieces]
    # One row per block: each result is returned when it is done, and no worker waits for the rows of another.
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
