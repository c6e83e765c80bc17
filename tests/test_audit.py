"""The audit fails for what can be fixed, and never because the network is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.audit import outcome

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


@pytest.mark.slow
def test_without_a_network():
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "tools.audit"],
        cwd=ROOT, env={**os.environ, **proxies, "no_proxy": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The dependencies were NOT audited: ")
