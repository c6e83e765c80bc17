"""The lock file: the tested version of each dependency, with the hashes of its files.

``python -m tools.lock`` writes it; ``pip install --require-hashes --requirement requirements.lock`` installs exactly
these files.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["LOCK", "ROOT", "locked_versions", "main", "problems"]

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
_EXTRA = "all"
# Not taken from the environment: what torch pins itself, and differently in its build for CPUs.
_FREE = ("sra-rag", "triton", "nvidia", "cuda")
_ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)(?P<rest>(?:.*\\\n)*.*)$", re.MULTILINE)


def main() -> int:
    """Write the lock file with uv, for the versions that are installed in this environment."""
    with tempfile.TemporaryDirectory() as folder:
        installed = Path(folder) / "installed.txt"
        installed.write_text(
            "".join(
                f"{found.name}=={found.version.split('+')[0]}\n"  # without the label of a build for CPUs
                for found in importlib.metadata.distributions()
                if not found.name.startswith(_FREE)
            ),
            encoding="utf-8",
        )
        command = [
            "uv", "pip", "compile", "pyproject.toml", "--extra", _EXTRA, "--constraint", str(installed), "--universal",
            "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links",
            "--no-annotate", "--custom-compile-command", "make lock", "--output-file", str(LOCK), "--upgrade",
            "--quiet",
        ]  # fmt: skip
        return subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603 - fixed arguments


def locked_versions(text: str) -> dict[str, tuple[set[str], bool]]:
    """Return, by normalized name, the versions in a lock file, and whether each of them has a SHA-256 hash.

    A dependency can have several versions, for different platforms.
    """
    entries: dict[str, tuple[set[str], bool]] = {}
    for entry in _ENTRY.finditer(text):
        name = canonicalize_name(entry["name"])
        versions, hashed = entries.get(name, (set(), True))
        has_hash = re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry["rest"]) is not None
        entries[name] = (versions | {entry["version"]}, hashed and has_hash)
    return entries


def problems(project: str, lock: str) -> list[str]:
    """Compare the dependencies of a project with a lock file.

    Parameters
    ----------
    project, lock
        Contents of ``pyproject.toml`` and of the lock file.

    Returns
    -------
    list of str
        Dependencies that are missing, that are locked at a version that the project does not allow, or that have no
        hash.
    """
    entries = locked_versions(lock)
    lines = [f"{name}: no hash" for name, (_, hashed) in entries.items() if not hashed]
    for requirement in _direct(tomllib.loads(project)["project"]):
        name = canonicalize_name(requirement.name)
        if name not in entries:
            lines.append(f"{name}: not locked")
            continue
        refused = [version for version in entries[name][0] if not requirement.specifier.contains(version, True)]
        lines += [f"{name}: {version} is locked, {requirement.specifier} is required" for version in refused]
    return lines


def _direct(project: dict[str, object]) -> list[Requirement]:
    """Return the requirements of the core and of the extra `_EXTRA`, with those of the extras that it names."""
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)  # noqa: S101 - the format of pyproject.toml
    waiting = [Requirement(line) for line in [*project["dependencies"], *extras[_EXTRA]]]  # type: ignore[misc]
    known: dict[str, Requirement] = {}
    while waiting:
        requirement = waiting.pop()
        if str(requirement) in known:
            continue
        known[str(requirement)] = requirement
        if requirement.name == "sra-rag":
            waiting += [Requirement(line) for extra in requirement.extras for line in extras[extra]]
    return [requirement for requirement in known.values() if requirement.name != "sra-rag"]


if __name__ == "__main__":
    sys.exit(main())
