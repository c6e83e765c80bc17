"""Audit the installed dependencies for known vulnerabilities: ``python -m tools.audit``.

The exit status is 1 if a dependency has a known vulnerability that a later release fixes, or if the lock file does not
pin each dependency with a hash. If the data of pip-audit cannot be reached, for example without a network, only the
lock file is checked, and the output says that nothing was audited.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tools.lock import LOCK, ROOT, locked_versions, problems

__all__ = ["lock_outcome", "main", "outcome"]

_SECONDS = 300


def main() -> int:
    """Run pip-audit, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ignore", action="append", default=[], metavar="ID", help="a vulnerability to ignore")
    ignored = set(parser.parse_args().ignore)
    report, problem = _audit()
    if report is None:
        lines, failed = [f"The dependencies were NOT audited: {problem}"], False
    else:
        lines, failed = outcome(report, ignored)
    locked_lines, lock_failed = lock_outcome((ROOT / "pyproject.toml").read_text("utf-8"), LOCK.read_text("utf-8"))
    sys.stdout.write("".join(f"{line}\n" for line in [*lines, *locked_lines]))
    return int(failed or lock_failed)


def lock_outcome(project: str, lock: str) -> tuple[list[str], bool]:
    """Return what to print about the lock file, and whether it must be written again; both files as text."""
    lines = [f"{LOCK.name}: {problem}. Write it again with: make lock" for problem in problems(project, lock)]
    return lines or [f"{LOCK.name} pins {len(locked_versions(lock))} dependencies with hashes."], bool(lines)


def outcome(report: dict[str, Any], ignored: set[str]) -> tuple[list[str], bool]:
    """Return what to print about a report of pip-audit, and whether a vulnerability must be fixed."""
    audited = [dependency for dependency in report["dependencies"] if "skip_reason" not in dependency]
    if not audited:
        return ["The dependencies were NOT audited: pip-audit could not find the data for any of them."], False
    lines, failed = [], False
    for dependency in audited:
        for vulnerability in dependency["vulns"]:
            fixed = ", ".join(vulnerability["fix_versions"]) or "no release yet"
            counts = not ignored & {vulnerability["id"], *vulnerability.get("aliases", [])}
            failed |= counts and bool(vulnerability["fix_versions"])
            lines.append(
                f"{dependency['name']} {dependency['version']}: {vulnerability['id']}, fixed in {fixed}"
                f"{'' if counts else ' (ignored)'}"
            )
    n_skipped = len(report["dependencies"]) - len(audited)
    lines.append(f"{len(audited)} dependencies were audited, {n_skipped} were skipped.")
    return lines, failed


def _audit() -> tuple[dict[str, Any] | None, str]:
    """Return the report of pip-audit, or None and the reason why there is none."""
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / "audit.json"
        command = [sys.executable, "-m", "pip_audit", "--skip-editable", "--progress-spinner", "off"]
        try:
            done = subprocess.run(  # noqa: S603 - this interpreter
                [*command, "--format", "json", "--output", str(to)],
                capture_output=True, text=True, timeout=_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None, f"pip-audit did not finish within {_SECONDS} s."
        if not to.is_file() or not to.stat().st_size:
            lines = done.stderr.strip().splitlines() or ["pip-audit wrote no report."]
            return None, lines[-1]
        report: dict[str, Any] = json.loads(to.read_text(encoding="utf-8"))
        return report, ""


if __name__ == "__main__":
    sys.exit(main())
