"""The load test of the server works: a few clients for a few seconds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "server_load.py"


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_a_short_load(tmp_path):
    to = tmp_path / "load.json"
    changes = ["--clients", "4", "--seconds", "15", "--questions", "2", "--greedy", "2", "--to", str(to)]
    done = subprocess.run([sys.executable, str(SCRIPT), *changes], capture_output=True, text=True, timeout=450)
    assert done.returncode == 0, done.stderr + done.stdout
    result = json.loads(to.read_text())
    assert result["answers"]["whole"] > 3
    assert result["faults"] == []
    assert len(result["fairness"]["turns per client"]) == 4
    assert len(result["memory"]["points"]) > 3
    assert "| complete answers |" in done.stdout
