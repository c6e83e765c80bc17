"""Megabytes and seconds of an installation of each extra, as a Markdown table: ``python -m tools.install_sizes``.

    python -m tools.install_sizes                          packages and megabytes, as installed in this environment
    python -m tools.install_sizes --install core serve     real installations with pip, one after the other
    python -m tools.install_sizes --install core serve --installer uv -- --torch-backend cpu

Without ``--install`` nothing is installed: the requirements of each extra are followed through the metadata of the
packages in this environment, which must have all extras. With it, each extra is installed in a fresh virtual
environment, which is deleted afterwards. Arguments after ``--`` are passed to the installer. Megabytes are the sizes of
the files of all packages, without compiled Python files and the contents of a new environment. Seconds include
downloads, unless the cache of the installer has the packages.
"""

from __future__ import annotations

import argparse
import importlib.metadata as metadata
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["closure", "extras", "install", "main", "megabytes"]

ROOT = Path(__file__).resolve().parents[1]
CORE = "core"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", nargs="+", metavar="EXTRA", help=f"extras to install; {CORE!r} for none")
    parser.add_argument("--installer", choices=["pip", "uv"], default="pip", help="with --install (default: pip)")
    own, passed_on = _divided(sys.argv[1:])
    options = parser.parse_args(own)
    if options.install is None:
        sys.stdout.write("| extra | packages | MB |\n|---|---|---|\n")
        for extra in (CORE, *extras()):
            packages, missing = closure(extra)
            shown = f"not installed: {', '.join(sorted(missing))}" if missing else f"{megabytes(packages):,.0f}"
            sys.stdout.write(f"| `{extra}` | {len(packages)} | {shown} |\n")
        return
    sys.stdout.write(
        f"| {options.installer} install | packages | MB | seconds | processor seconds |\n|---|---|---|---|---|\n"
    )
    for extra in options.install:
        if extra not in (CORE, *extras()):
            parser.error(f"there is no extra {extra!r}; give {CORE}, {', '.join(extras())}")
        n_packages, size, seconds, processor = install(extra, options.installer, passed_on)
        sys.stdout.write(f"| `{extra}` | {n_packages} | {size:,.0f} | {seconds:.0f} | {processor:.0f} |\n")
        sys.stdout.flush()


def extras() -> list[str]:
    """Return the extras of pyproject.toml that users install, in its order."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [name for name in project["optional-dependencies"] if name not in ("dev", "docs")]


def closure(extra: str) -> tuple[set[str], set[str]]:
    """Return the packages that an extra requires, sra-rag included, and those of them that are not installed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    waiting = [Requirement(line) for line in project["dependencies"] + ([] if extra == CORE else optional[extra])]
    packages, missing = {"sra-rag"}, set[str]()
    seen = set[tuple[str, str]]()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for chosen in ("", *sorted(requirement.extras)):
            if (name, chosen) in seen:
                continue
            seen.add((name, chosen))
            if name == "sra-rag":  # extras that include others; this source, not what is installed
                waiting += [Requirement(line) for line in optional.get(chosen, [])]
                continue
            try:
                lines = metadata.requires(name) or []
            except metadata.PackageNotFoundError:
                missing.add(name)
                continue
            packages.add(name)
            waiting += [r for r in map(Requirement, lines) if _applies(r.marker, chosen)]
    return packages, missing


def _applies(marker: Marker | None, extra: str) -> bool:
    return marker is None or marker.evaluate({"extra": extra})


def megabytes(packages: Iterable[str]) -> float:
    """Return the size of installed packages in megabytes (1,000,000 bytes), without compiled Python files."""
    total = 0
    for name in packages:
        files = metadata.files(name) or []
        total += sum(_size(Path(str(file.locate()))) for file in files if file.suffix != ".pyc")
    return total / 1e6


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def install(extra: str, installer: str, arguments: Sequence[str]) -> tuple[int, float, float, float]:
    """Install an extra in a fresh environment; return the number of packages, megabytes, seconds and processor seconds.

    Raises
    ------
    SystemExit
        If the installation fails, with the output of the installer.
    """
    requirement = str(ROOT) if extra == CORE else f"{ROOT}[{extra}]"
    with tempfile.TemporaryDirectory(prefix="install-sizes-") as folder:
        python = Path(folder) / "bin" / "python"
        if installer == "uv":
            if (uv := shutil.which("uv")) is None:
                raise SystemExit("uv is not installed. Install it with:  pip install uv")
            _run([uv, "venv", "-q", "--clear", "--python", sys.executable, folder])
            command = [uv, "pip", "install", "-q", "--python", str(python), *arguments, requirement]
        else:
            _run([sys.executable, "-m", "venv", folder])
            command = [str(python), "-m", "pip", "install", "-q", *arguments, requirement]
        before = _contents(Path(folder))
        started, processor = time.monotonic(), _processor_seconds()
        _run(command)
        seconds, processor = time.monotonic() - started, _processor_seconds() - processor
        after = _contents(Path(folder))
    return after[0] - before[0], (after[1] - before[1]) / 1e6, seconds, processor


def _processor_seconds() -> float:
    """Return the processor seconds of all processes that were started and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _contents(environment: Path) -> tuple[int, int]:
    """Return the number of packages in an environment, and its bytes without compiled Python files."""
    files = [path for path in environment.rglob("*") if path.is_file() and not path.is_symlink()]
    n_packages = sum(path.match("site-packages/*.dist-info/METADATA") for path in files)
    return n_packages, sum(path.stat().st_size for path in files if path.suffix != ".pyc")


def _run(command: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 - fixed
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")


def _divided(arguments: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


if __name__ == "__main__":
    main()
