"""A command in a terminal of its own: what it writes, when, and how it ends."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A child process whose standard streams are a terminal.

    Parameters
    ----------
    arguments
        Arguments of Python.
    columns
        Width of the terminal.
    options
        As for `subprocess.Popen`.
    """

    def __init__(self, *arguments, columns=80, **options):
        self._end, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environment = {"TERM": "xterm"} | {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
        options["env"] = environment | options.get("env", {})
        self.process = subprocess.Popen(
            [sys.executable, *map(str, arguments)], stdin=child, stdout=child, stderr=child, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), **options,
        )  # fmt: skip
        os.close(child)
        self.raw = ""

    @property
    def text(self):
        """All output without escape sequences."""
        return CONTROL.sub("", self.raw)

    def send(self, text):
        os.write(self._end, text.encode())

    def interrupt(self, seconds=60):
        """Press Ctrl-C once the process waits for input.

        Python's `input` looks for signals and then waits: a signal in between would be seen at the next key only.
        """
        until, asleep = time.monotonic() + seconds, 0
        while asleep < 10:
            state = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
            asleep = asleep + 1 if state == "S" else 0
            if time.monotonic() > until:
                raise AssertionError(f"Not waiting for input after {seconds} s, but: {self.text[-2000:]}")
            time.sleep(0.02)
        self.send("\x03")

    def read_until(self, wanted, seconds=120):
        """Read until a text appears in the output that this call reads, and return that output."""
        return self._read(lambda new: wanted in CONTROL.sub("", new), seconds, wanted)

    def read_to_end(self, seconds=120):
        """Read until the process ends, and return its exit code; minus a signal's number, if one ended it."""
        self._read(lambda new: False, seconds, "the end")
        return self.process.wait(timeout=30)

    def _read(self, is_enough, seconds, wanted):
        new, until = b"", time.monotonic() + seconds
        while not is_enough(new.decode("utf-8", "replace")):
            if not select.select([self._end], [], [], max(0.0, until - time.monotonic()))[0]:
                raise AssertionError(f"No {wanted!r} after {seconds} s, but: {self.text[-2000:]}")
            try:
                piece = os.read(self._end, 1 << 16)
            except OSError:  # the process has ended
                piece = b""
            if not piece:
                if wanted != "the end":
                    raise AssertionError(f"Ended without {wanted!r}: {self.text[-2000:]}")
                break
            new += piece
            self.raw += piece.decode("utf-8", "replace")
        return CONTROL.sub("", new.decode("utf-8", "replace"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._end)
