"""Work on a cluster of two machines, one of which dies.

Both are this one, each with a network, a name and a /tmp of its own. They share a disk, so both have sra-rag and the
embedded model; what is worked on, and where it goes, the second cannot see.
"""

import collections
import dataclasses
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import pytest

from tests.pipelines.test_index_ray import contents

pytest.importorskip("ray", reason="needs Ray: pip install 'sra-rag[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# Addresses for tests of networks (RFC 2544); nobody else is in these.
FIRST, SECOND = "198.18.0.1", "198.18.0.2"
ENVIRONMENT = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
ENTER = 'hostname "$0"; [ -z "$1" ] || mount -t tmpfs tmpfs "$1"; shift; exec "$@"'


@dataclasses.dataclass(frozen=True)
class Machine:
    name: str
    address: str
    hidden: str  # a folder that it has one of its own of

    def popen(self, *command, **options):
        enter = ("ip", "netns", "exec", self.name, "unshare", "--uts", "--mount", "sh", "-c", ENTER)
        return subprocess.Popen(
            [*enter, self.name, self.hidden, *map(str, command)], env=ENVIRONMENT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options,
        )  # fmt: skip

    def run(self, *command, **options):
        process = self.popen(sys.executable, "-m", "sra_rag.cli", *command, **options)
        said, _ = process.communicate(timeout=400)
        assert process.returncode == 0, said
        return said

    def die(self):
        for process in ip("netns", "pids", self.name).stdout.split():
            os.kill(int(process), signal.SIGKILL)


def ip(*arguments):
    return subprocess.run([shutil.which("ip"), *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def machines():
    """Two machines on one wire."""
    if os.geteuid() or not all(map(shutil.which, ("ip", "unshare", "mount", "hostname"))):
        pytest.skip("machines are made by root, with the commands ip, unshare, mount and hostname")
    there = [
        Machine(f"sra{os.getpid()}{letter}", address, hidden)
        for letter, address, hidden in (("a", FIRST, ""), ("b", SECOND, tempfile.gettempdir()))
    ]
    try:
        made = [ip("netns", "add", machine.name) for machine in there]
        one, other = (machine.name for machine in there)
        made.append(ip("link", "add", "wire", "netns", one, "type", "veth", "peer", "name", "wire", "netns", other))
        for machine in there:
            made.append(ip("-n", machine.name, "address", "add", f"{machine.address}/30", "dev", "wire"))
            made += [ip("-n", machine.name, "link", "set", device, "up") for device in ("lo", "wire")]
        if trouble := [each.stderr.strip() for each in made if each.returncode]:
            pytest.skip(f"namespaces cannot be made here: {trouble[0]}")
        yield there
    finally:
        for machine in there:
            machine.die()
            ip("netns", "delete", machine.name)


@pytest.fixture(scope="module")
def cluster(machines):
    """The address of Ray on both; a processor each."""
    folder = tempfile.mkdtemp(prefix="ray")  # Ray's sockets want a short name
    ray = Path(sysconfig.get_path("scripts")) / "ray"
    address = f"{FIRST}:6390"
    started = []
    try:
        for machine, where in zip(
            machines, (("--head", "--port=6390", f"--temp-dir={folder}"), (f"--address={address}",)), strict=True
        ):
            options = (f"--node-ip-address={machine.address}", "--num-cpus=1", "--disable-usage-stats", "--block")
            started.append(machine.popen(ray, "start", *where, *options))
            shown = ""
            for line in started[-1].stdout:
                shown += line
                if "Ray runtime started" in line:
                    break
            else:
                pytest.fail(shown)
        yield address
    finally:
        for machine in machines:
            machine.die()
        for process in started:
            process.wait(60)
            process.stdout.close()
        shutil.rmtree(folder)


def test_an_index_is_the_one_that_one_machine_makes(machines, cluster, tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    for street in range(4):
        rents = (f"House {n} in street {street} costs {n}2,400 crowns a year." for n in range(1, 30))
        (docs / f"street{street}.md").write_text("# Rents\n\n" + "\n\n".join(rents))
    add = ("index", "add", docs, "--json", "--to")
    report = json.loads(machines[0].run(*add, tmp_path / "two", "--ray-address", cluster))
    assert len(report["added"]) == 4
    machines[0].run(*add, tmp_path / "one")
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one.keys() == two.keys()
    for name, document in two.items():
        assert document.passages == one[name].passages
        assert abs(document.vectors - one[name].vectors).max() < 1e-5


def test_a_machine_that_dies_leaves_its_work_to_the_other(machines, cluster, tmp_path):
    evaluate = ("evaluate", "needle:length=200", "--sra", "off", "--sra", "0.3", "--max-new-tokens", "6", "--limit")
    records = tmp_path / "two" / "records.jsonl"
    first, second = (machine.name for machine in machines)
    process = machines[0].popen(
        sys.executable, "-m", "sra_rag.cli", *evaluate, 10, "--to", records.parent, "--ray-address", cluster
    )
    while not (records.is_file() and f'"worker": "{second}"' in records.read_text()):
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.2)
    machines[1].die()
    said, _ = process.communicate(timeout=400)
    assert process.returncode == 0, said
    found = [json.loads(line) for line in records.read_text().splitlines()]
    assert len({(record["example"], record["setting"]) for record in found}) == len(found) == 20
    by = collections.Counter(record["worker"] for record in found)
    assert by.keys() == {first, second}
    assert by[first] > by[second]

    machines[0].run(*evaluate, 3, "--to", tmp_path / "one")  # without Ray
    answers = {(record["example"], record["setting"]): record["answer"] for record in found}
    for line in (tmp_path / "one" / "records.jsonl").read_text().splitlines():
        record = json.loads(line)
        assert record["answer"] == answers[record["example"], record["setting"]]
