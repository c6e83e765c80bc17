"""Two machines made of this one, and Ray on them, for the length of a block.

Each has a network, a name, processes and a /tmp of its own. They share a disk, so both have sra-rag and the models it
brings; what a test writes to its temporary folder, the second cannot see. Both end with this process, however it ends.
"""

import os
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

# Addresses for tests of networks (RFC 2544); nobody else is in these.
FIRST, SECOND = "198.18.0.1", "198.18.0.2"
RAY = Path(sysconfig.get_path("scripts")) / "ray"
ENVIRONMENT = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
APART = ("--net", "--uts", "--ipc", "--mount", "--pid")
# Its first process: what else runs there ends with it, and it ends with its input.
FIRST_PROCESS = 'hostname "$0" && { [ -z "$1" ] || mount -t tmpfs tmpfs "$1"; } && echo up && cat'


class Machine:
    """One of them; ``hidden`` is a folder of which it has its own, ``folder`` where its commands start."""

    def __init__(self, name, address, hidden, folder):
        self.name, self.address, self.folder = name, address, folder
        command = ("unshare", *APART, "--fork", "--kill-child", "--mount-proc", "sh", "-c", FIRST_PROCESS, name, hidden)
        self._unshare = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if (said := self._unshare.stdout.readline()) != "up\n":
            self.die()
            pytest.skip(f"machines cannot be made here: {said.strip()}")
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        self.first_process = children.read_text().strip()

    def popen(self, *command, stderr=subprocess.STDOUT):
        enter = ("nsenter", f"--target={self.first_process}", *APART, f"--wd={self.folder}", "--", *map(str, command))
        return subprocess.Popen(enter, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=stderr)

    def sra_rag(self, *command):
        return self.popen(sys.executable, "-m", "sra_rag.cli", *command, stderr=subprocess.PIPE)

    def die(self):
        """End all its processes at once."""
        self._unshare.kill()
        self._unshare.communicate()


def said_by(process):
    """What a process says until it ends well."""
    said, beside = process.communicate(timeout=400)
    assert process.returncode == 0, beside or said
    return said


@contextmanager
def two_machines(folder):
    """Two machines on one wire; commands start in ``folder`` on the first, in / on the second."""
    needed = ("ip", "unshare", "nsenter", "mount", "hostname", "pgrep", "pkill")
    if missing := [name for name in needed if not shutil.which(name)]:
        pytest.skip(f"machines are made with commands that are not here: {', '.join(missing)}")
    if os.geteuid():
        pytest.skip("machines are made by root only")
    with ExitStack() as behind:
        one = Machine("sra-first", FIRST, "", folder)
        behind.callback(one.die)
        other = Machine("sra-second", SECOND, tempfile.gettempdir(), "/")
        behind.callback(other.die)
        for machine in (one, other):  # a network outlives its machine, or the wire would go with both ends
            behind.enter_context(open(f"/proc/{machine.first_process}/ns/net"))
        ends = f"wire netns {one.first_process} type veth peer name wire netns {other.first_process}"
        link = ("ip", "link", "add", *ends.split())
        made = subprocess.run(link, capture_output=True, text=True, check=False)
        if made.returncode:
            pytest.skip(f"a network cannot be made here: {made.stderr.strip()}")
        for machine in (one, other):
            said_by(machine.popen("ip", "address", "add", f"{machine.address}/30", "dev", "wire"))
            for device in ("lo", "wire"):
                said_by(machine.popen("ip", "link", "set", device, "up"))
        yield one, other


@contextmanager
def ray_on(machines):
    """The address of Ray on both, its head on the first; a processor each."""
    address = f"{FIRST}:6390"
    folder = tempfile.mkdtemp(prefix="ray")  # Ray's sockets want a short name
    head = ("--head", "--port=6390", f"--temp-dir={folder}", "--include-dashboard=false")
    started = []
    try:
        for machine, where in zip(machines, (head, (f"--address={address}",)), strict=True):
            started.append(
                machine.popen(
                    RAY, "start", *where, f"--node-ip-address={machine.address}", "--num-cpus=1", "--block",
                    "--object-store-memory=100000000", "--disable-usage-stats",
                )
            )  # fmt: skip
            wait_for_ray(started[-1])
        yield address
    finally:
        for machine in machines:
            machine.die()
        for process in started:
            process.communicate()
        shutil.rmtree(folder)


def wait_for_ray(process):
    """Wait until ``ray start`` says that it runs."""
    shown = ""
    for line in process.stdout:  # it ends where Ray does not start
        shown += line
        if "Ray runtime started" in line:
            return
    pytest.fail(shown)
