"""The audit fails for what can be fixed or is not locked, and never because the network is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.audit import lock_outcome, outcome
from tools.lock import LOCK, locked_versions

ROOT = Path(__file__).parents[1]


def report(*fixes, skipped=False):
    vulnerable = [{"id": f"CVE-{number}", "aliases": [], "fix_versions": fix} for number, fix in enumerate(fixes)]
    entry = {"name": "a", "version": "1", "vulns": vulnerable}
    return {"dependencies": [{"name": "b", "skip_reason": "no data"}, *([] if skipped else [entry])]}


def test_what_fails():
    assert outcome(report(), set()) == (["1 dependencies were audited, 1 were skipped."], False)
    lines, failed = outcome(report(["2"], []), set())
    assert failed
    assert lines[:2] == ["a 1: CVE-0, fixed in 2", "a 1: CVE-1, fixed in no release yet"]
    assert not outcome(report([]), set())[1]  # nothing can be done about it yet
    assert outcome(report(["2"]), {"CVE-0"}) == (
        ["a 1: CVE-0, fixed in 2 (ignored)", "1 dependencies were audited, 1 were skipped."], False
    )  # fmt: skip


def test_no_data():
    [line], failed = outcome(report(skipped=True), set())
    assert "NOT audited" in line
    assert not failed


def test_the_lock_file_pins_each_dependency_at_an_allowed_version_with_hashes():
    lock = LOCK.read_text(encoding="utf-8")
    lines, failed = lock_outcome((ROOT / "pyproject.toml").read_text(encoding="utf-8"), lock)
    assert not failed, lines
    assert len(locked_versions(lock)) > 150
    assert "://" not in lock  # of any registry


HASH = f" \\\n    --hash=sha256:{'0' * 64}\n"
PROJECT = """
[project]
dependencies = ["A_b>=2"]
[project.optional-dependencies]
web = ["c<3"]
unused = ["d"]
all = ["sra-rag[web]"]
"""


@pytest.mark.parametrize(
    ("lock", "problem"),
    [
        (f"a-b==2.1{HASH}c==2.0 ; sys_platform == 'linux'{HASH}c==1.0{HASH}", None),
        (f"a-b==2.1{HASH}", "c: not locked"),
        (f"a-b==1.0{HASH}c==2.0{HASH}", "a-b: 1.0 is locked, >=2 is required"),
        (f"a-b==2.1{HASH}c==2.0{HASH}c==3.0{HASH}", "c: 3.0 is locked, <3 is required"),
        (f"a-b==2.1\nc==2.0{HASH}", "a-b: no hash"),
        (f"a-b==2.1{HASH}c==2.0{HASH}e==1.0 \\\n    --hash=md5:00\n", "e: no hash"),
    ],
)
def test_what_is_wrong_with_a_lock_file(lock, problem):
    lines, failed = lock_outcome(PROJECT, lock)
    assert failed is (problem is not None)
    assert len(lines) == 1
    assert (problem or "pins 2 dependencies with hashes") in lines[0]


@pytest.mark.slow
def test_without_a_network():
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "tools.audit"],
        cwd=ROOT, env={**os.environ, **proxies, "no_proxy": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The dependencies were NOT audited: ")
    assert "dependencies with hashes" in done.stdout
