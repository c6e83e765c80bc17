"""How Ray is started or found, how many workers there is room for, and what is refused."""

import importlib.util
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys

import pytest
from sra_pipelines.ray.cluster import RayError, RayOptions, Workers, place_workers, ray_cluster
from sra_pipelines.ray.versions import installed_versions, require_versions

from sra_rag.errors import ConfigError, MissingExtraError
from tests.machines import RAY, wait_for_ray

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'sra-rag[ray]'")

GB = 1 << 30


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"workers": 0}, "workers=0 is not allowed"),
        ({"address": "ray://head:10001"}, "through which Ray Data does not run"),
        ({"address": "contracts"}, "'contracts' is no address of a Ray cluster. Give auto, HOST:PORT"),
    ],
)
def test_options_that_are_not_allowed(options, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        RayOptions(**options)


def test_without_ray_the_command_that_installs_it_is_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "ray" else found(name, *a))
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'sra-rag[ray]'")), ray_cluster(RayOptions()):
        pass


def test_versions_are_held_to_those_of_another_machine():
    here = installed_versions(["torch", "no-such-package"])
    assert here.keys() == {"python", "torch"}
    require_versions(here)
    with pytest.raises(ConfigError, match=r"torch .* instead of 0\.1, no-such-package is not installed\. Install"):
        require_versions({"torch": "0.1", "no-such-package": "1"})


@pytest.mark.parametrize(
    ("nodes", "asked", "rows", "expected"),
    [
        ([{"CPU": 16, "memory": 64 * GB}], None, 100, Workers(4, 4, 0, 1)),
        ([{"CPU": 2, "memory": 64 * GB}], None, 100, Workers(1, 2, 0, 1)),
        ([{"CPU": 16, "memory": 20 * GB}], None, 100, Workers(2, 4, 0, 1)),  # memory for two
        ([{"CPU": 2, "memory": 4 * GB}], None, 100, Workers(1, 2, 0, 1)),  # never none
        ([{"CPU": 16, "memory": 64 * GB}, {"CPU": 6, "memory": 64 * GB}, {}], None, 100, Workers(5, 4, 0, 3)),
        ([{"CPU": 16, "memory": 64 * GB}], None, 3, Workers(3, 4, 0, 1)),
        ([{"CPU": 16, "memory": 64 * GB}], 2, 100, Workers(2, 8, 0, 1)),
        ([{"CPU": 32, "GPU": 8}, {"CPU": 32, "GPU": 8}], None, 100, Workers(16, 1, 1, 2)),
        ([{"CPU": 32, "GPU": 8}, {"CPU": 32, "GPU": 8}], 4, 100, Workers(4, 1, 4, 2)),
        ([{"CPU": 32, "GPU": 4}, {"CPU": 32, "GPU": 4}], 3, 100, Workers(3, 1, 2, 2)),  # none spans two machines
        ([{"CPU": 32, "GPU": 4}], 5, 100, "5 workers are asked for, and there are 4 GPU(s) on 1 machine(s)"),
        ([{"CPU": 4}], 5, 100, "5 workers are asked for, and there are 4 processor(s) on 1 machine(s)"),
    ],
)
def test_workers_fit_the_machines_that_there_are(monkeypatch, nodes, asked, rows, expected):
    there = [{"Alive": True, "Resources": node} for node in nodes] + [{"Alive": False, "Resources": {"GPU": 99}}]
    monkeypatch.setattr(ray, "nodes", lambda: there)
    if isinstance(expected, str):
        with pytest.raises(ConfigError, match=re.escape(expected)):
            place_workers(asked, rows, cpus=4, memory=9 * GB)
    else:
        assert place_workers(asked, rows, cpus=4, memory=9 * GB) == expected


# Ray's own command, and who connects, keep to 127.0.0.1; and nobody else gets in.
CLOSED = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@pytest.fixture
def head():
    """The address of a cluster of one machine, that was started by Ray's own command."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [str(RAY), "start", "--head", "--block", f"--port={port}", "--num-cpus=1", "--include-dashboard=false",
         "--disable-usage-stats"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | CLOSED, start_new_session=True,
    )  # fmt: skip
    wait_for_ray(process)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_cluster_that_is_there_is_used_by_its_address_and_left_as_it_is(head, tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "ferry.md").write_text("# Ferry\n\nTickets are sold at the kiosk.")
    for number, name in enumerate(("ferry", "lease")):
        (tmp_path / "docs" / f"{name}.md").write_text(f"# {name}\n\nThe {name} costs 82,400 crowns.")
        done = subprocess.run(
            [sys.executable, "-m", "sra_rag.cli", "index", "add", "docs", "--to", "index", "--ray-address", head,
             "--json"],
            cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False,
            env=os.environ | CLOSED,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        report = json.loads(done.stdout)
        assert (report["added"], report["revision"]) == ([name], number + 1)


def test_an_address_without_a_cluster_says_so():
    with socket.socket() as probe:  # bound, but nobody listens
        probe.bind(("127.0.0.1", 0))
        options = RayOptions(f"127.0.0.1:{probe.getsockname()[1]}")
        says = re.escape(f"no Ray cluster to be had at {options.address!r}: [Errno 111] Connection refused")
        with pytest.raises(RayError, match=says), ray_cluster(options):
            pass
