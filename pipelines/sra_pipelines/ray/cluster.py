"""Context manager for Ray, started on this machine or connected to an existing cluster.

Ray is only imported when it is used.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from sra_rag.errors import ConfigError, SRAError, first_line, require_extra

__all__ = ["RayError", "RayOptions", "Workers", "place_workers", "ray_cluster"]

_LOCAL = "local"
_CONNECT_SECONDS = 10.0
# Without this setting, a local Ray listens on all network interfaces. Linux has no public option for it; a test checks
# that it still works.
_LOOPBACK_ONLY = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
# Disables log messages of Ray in the output of a command, and usage reports.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal", "RAY_IGNORE_UNHANDLED_ERRORS": "1"}


class RayError(SRAError, RuntimeError):
    """Ray or one of its workers failed."""


@dataclasses.dataclass(frozen=True, slots=True)
class RayOptions:
    """Address of a Ray cluster, and number of workers.

    Parameters
    ----------
    address
        ``"auto"`` (the cluster of this machine), ``"host:port"`` of the head node, or ``"local"`` to start Ray on this
        machine. By default the value of the environment variable ``RAY_ADDRESS``, or ``"local"`` if it is not set.
    workers
        Number of processes that load the model; by default one per GPU, or as many as CPUs and memory allow.

    Raises
    ------
    ConfigError
        If a value is not allowed.
    """

    address: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"workers={self.workers} is not allowed: on Ray it takes at least 1.")
        if self.address is not None and self.address.startswith("ray://"):
            raise ConfigError(
                f"{self.address!r} is an address of Ray's client, through which Ray Data does not run. Start on a "
                "machine of the cluster with auto, or give HOST:PORT of its head (6379, where nothing else was chosen)."
            )
        if self.address is not None and self.address not in ("auto", _LOCAL) and ":" not in self.address:
            raise ConfigError(
                f"{self.address!r} is no address of a Ray cluster. Give auto, HOST:PORT, or local to start Ray "
                "on this machine."
            )


@dataclasses.dataclass(frozen=True, slots=True)
class Workers:
    """Workers that a cluster has resources for.

    Parameters
    ----------
    count
        Number of workers.
    cpus, gpus
        Number of CPUs and GPUs of each worker.
    nodes
        Number of machines in the cluster.
    """

    count: int
    cpus: int
    gpus: int
    nodes: int


@contextmanager
def ray_cluster(options: RayOptions) -> Iterator[None]:
    """Start Ray or connect to a cluster; disconnect, and stop a local Ray, after the block.

    An existing connection of the caller is used, and stays open.

    Raises
    ------
    MissingExtraError
        If Ray is not installed.
    RayError
        If there is no cluster at the address.
    """
    require_extra("Work on Ray", "ray", "ray", "pyarrow")
    address = options.address or os.environ.get("RAY_ADDRESS") or _LOCAL
    RayOptions(address)  # validate the value of the environment variable too
    _require_listener(address)
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with _loopback_only(address == _LOCAL):
        import ray
        import ray.data

        callers_own = ray.is_initialized()
        if not callers_own:
            logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # errors are raised too
            try:
                with _without_stderr():
                    ray.init(**_init_arguments(address, options.workers))
            except BaseException as error:
                ray.shutdown()
                if isinstance(error, Exception):  # Ray also raises plain exceptions
                    raise RayError(_cannot_connect(address, error)) from error
                raise
    with _notices_beside(not callers_own):
        try:
            yield
        finally:
            if not callers_own:
                ray.shutdown()


def place_workers(asked: int | None, rows: int, *, cpus: int, memory: int) -> Workers:
    """Determine number and resources of workers on the connected cluster.

    Parameters
    ----------
    asked
        Requested number of workers; None for one per GPU, or as many as CPUs and memory allow without GPUs.
    rows
        Number of rows of work, an upper bound for the number of workers.
    cpus
        CPUs per worker if there are no GPUs and `asked` is None; fewer on smaller machines.
    memory
        Memory per worker in bytes if `asked` is None.

    Raises
    ------
    ConfigError
        If the cluster does not have enough resources for `asked` workers.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    on_gpus = [int(node.get("GPU", 0)) for node in nodes]
    on_cpus = [int(node.get("CPU", 0)) for node in nodes]
    kind, there = ("GPU", on_gpus) if any(on_gpus) else ("processor", on_cpus)
    if asked is not None:
        each = _share(asked, there)
        if each == 0:
            raise ConfigError(
                f"{asked} workers are asked for, and there are {sum(there)} {kind}(s) on {len(nodes)} machine(s); each "
                "takes one. Ask for fewer, or add machines."
            )
        count = asked
    elif any(on_gpus):
        count, each = sum(on_gpus), 1
    else:
        each = max(1, min(cpus, max(on_cpus, default=1)))
        room = (min(n // each, int(node.get("memory", 0)) // memory) for n, node in zip(on_cpus, nodes, strict=True))
        count = max(1, sum(room))
    count = max(1, min(count, rows))
    return Workers(count, *((1, each) if any(on_gpus) else (each, 0)), nodes=len(nodes))


def _share(workers: int, there: Sequence[int]) -> int:
    """Return the maximum resources per worker, with each worker on one machine; 0 if there are not enough."""
    return next((n for n in range(max(there, default=0), 0, -1) if sum(amount // n for amount in there) >= workers), 0)


def _init_arguments(address: str, workers: int | None) -> dict[str, Any]:
    arguments: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if address == _LOCAL:
        allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        arguments |= {"include_dashboard": False, "num_cpus": max(allowed, workers or 1)}
    return arguments


def _require_listener(address: str) -> None:
    """Raise if nothing listens at an address: Ray would retry for 15 minutes."""
    place = urlsplit(address if "://" in address else f"//{address}")
    try:
        if place.hostname and place.port:
            socket.create_connection((place.hostname, place.port), timeout=_CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise RayError(_cannot_connect(address, error)) from error


def _cannot_connect(address: str, error: Exception) -> str:
    reason = first_line(error)
    if address == _LOCAL:
        return (
            f"Ray cannot be started on this machine: {reason}. Try again, run without Ray, or give the address of a "
            "cluster."
        )
    return (
        f"There is no Ray cluster to be had at {address!r}: {reason}. This has to be a machine of the cluster, where "
        "auto will do; 'ray status' says whether it runs, with the same versions of Ray and Python as this command. "
        "Where it asks for a token, set RAY_AUTH_MODE=token here too."
    )


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Keep what Ray's C++ writes away from the command's lines: that it takes its log level from where it was told."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _loopback_only(wanted: bool) -> Iterator[None]:
    before = os.environ.get(_LOOPBACK_ONLY)
    if wanted:
        os.environ[_LOOPBACK_ONLY] = "0"  # for started processes
    from ray._private import ray_constants

    read_before = ray_constants.ENABLE_RAY_CLUSTER  # set when Ray was imported, possibly by other code
    ray_constants.ENABLE_RAY_CLUSTER = read_before and not wanted
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = read_before
        if before is None:
            os.environ.pop(_LOOPBACK_ONLY, None)
        else:
            os.environ[_LOOPBACK_ONLY] = before


@contextmanager
def _notices_beside(wanted: bool) -> Iterator[None]:
    """Have Ray say on stderr that a machine has died: on stdout, its place for that, stands what a command found."""
    from ray._private import worker

    # There is no public way; a test of a machine that dies notices when it moves.
    before = getattr(worker, "print_to_stdstream", None)
    if not wanted or before is None:
        yield
        return
    worker.print_to_stdstream = lambda data, **options: before(data | {"is_err": True}, **options)
    try:
        yield
    finally:
        worker.print_to_stdstream = before
