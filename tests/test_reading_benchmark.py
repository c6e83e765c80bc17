"""The comparison of two versions by `benchmarks/reading.py`."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_two_versions_read_the_same_documents_in_turns(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / "reading.py"), "--against", str(ROOT), "--pages", "2"]
    command += ["--repeat", "2", "--documents", "tables.csv", "tables.txt", "--json", str(tmp_path / "results.json")]
    table = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line.split(" | ")[0] for line in table[-2:]] == ["| tables.csv", "| tables.txt"]
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["results"]
    for before, now in results.values():
        assert [run["characters"] for run in before] == [run["characters"] for run in now]
        assert len(before) == len(now) == 2
        assert all(run["seconds"] > 0 for run in (*before, *now))


def test_a_folder_without_the_project_is_refused(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / "reading.py"), "--against", str(tmp_path)]
    refused = subprocess.run(command, check=False, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "Give a checkout of sra-rag" in refused.stderr
