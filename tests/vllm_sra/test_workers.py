"""Workers with different settings are rejected at start-up; the default settings are copied to Ray workers."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")

from vllm_sra import DEFAULT_VARIABLE, register
from vllm_sra.plugin.workers import carry_default_to_ray

# Three comparisons of two processes: equal, different, and a missing process.
SCRIPT = """
import datetime, sys, torch
from sra_rag.errors import ConfigError
from vllm_sra.plugin.workers import refuse_differences

rank = int(sys.argv[1])
torch.distributed.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2)
group = torch.distributed.new_group(backend="gloo")
refuse_differences(group, "alpha=0.2")
try:
    refuse_differences(group, f"alpha=0.{rank}")
except ConfigError as error:
    print("DIFFERENT", error)
if rank == 0:
    try:
        refuse_differences(group, "alpha=0.2", datetime.timedelta(seconds=1))
    except ConfigError as error:
        print("MISSING", error)
"""


def test_workers_that_differ_or_lack_the_plugin_are_rejected(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    pair = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), str(tmp_path / "store")],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    first, second = (process.communicate(timeout=280) for process in pair)
    assert "DIFFERENT" in first[0], first[1][-2000:]
    assert "this one has alpha=0.0; those of rank 1" in first[0]
    assert "this one has alpha=0.1; those of rank 0" in second[0]
    assert "MISSING Not all workers" in first[0]
    assert "MISSING" not in second[0]


def test_the_default_is_copied_to_ray_workers(monkeypatch):
    monkeypatch.setenv("VLLM_RAY_EXTRA_ENV_VARS_TO_COPY", "MINE")
    monkeypatch.delenv(DEFAULT_VARIABLE, raising=False)
    carry_default_to_ray()
    assert os.environ["VLLM_RAY_EXTRA_ENV_VARS_TO_COPY"] == "MINE"
    monkeypatch.setenv(DEFAULT_VARIABLE, "alpha=0.2")
    monkeypatch.setenv("VLLM_USE_V2_MODEL_RUNNER", "0")
    register()
    register()
    assert os.environ["VLLM_RAY_EXTRA_ENV_VARS_TO_COPY"] == f"MINE,{DEFAULT_VARIABLE}"
    from vllm.ray.ray_env import get_env_vars_to_copy

    assert DEFAULT_VARIABLE in get_env_vars_to_copy()
