"""Processor seconds and memory that each format takes to read, on documents written here or on files of your own.

    python benchmarks/reading.py [--pages 200] [--repeat 3] [--json results.json]
    python benchmarks/reading.py --repeat 5 --against FOLDER [--files FILE ...]

The documents are those of `benchmarks/reading_documents.py`; with `--files`, the given files are read instead. A file
is read `--repeat` times, each time in a new process. The printed table has the shortest time, and the smallest growth
of the peak memory after a document of one page in the same format was read. The peak is that of the process itself
(``VmHWM``, Linux only): the maximum that ``getrusage`` returns includes that of the process which started it.

With `--against`, another version of this project reads the same files: FOLDER is its checkout, for example made with
``git worktree add FOLDER COMMIT``. Both versions take turns, so that the load of the machine is the same for both. The
table compares the smallest seconds and megabytes of all repetitions; in brackets are the largest. A file that the other
version cannot read is not compared. Only the readers are loaded, also those of the other version.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from reading_documents import WRITERS

_CHILD = r"""
import json, re, sys, time, types
from pathlib import Path
for name, folder in (("sra_rag", "sra_rag"), ("sra_pipelines", "pipelines/sra_pipelines")):
    # Older versions load PyTorch with these packages, whose objects slow down garbage collection.
    sys.modules[name] = package = types.ModuleType(name)
    package.__path__ = [str(Path(folder).resolve())]
from sra_pipelines.readers import read_pages
small, large = map(Path, sys.argv[1:])
def peak():
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
try:
    if small.suffix:
        read_pages(small)
    before = peak()
    start = time.process_time()
    pages = read_pages(large)
    seconds = time.process_time() - start
except ValueError as error:
    sys.exit(f"not read: {error}")
after = peak()
print(json.dumps({
    "seconds": seconds, "megabytes": (after - before) / 1024, "peak": after / 1024, "pages": len(pages),
    "characters": sum(len(page.text) for page in pages),
}))
"""
_NOW = Path(__file__).parents[1]
_LEAST_GROWTH = 2.0  # MB; the ratio of less says nothing


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """A file to be read.

    Parameters
    ----------
    name
        Name in the table.
    path
        The file.
    small
        A document of one page in the same format, which is read before; no file if there is none.
    pages
        Number of its pages (sheets, slides); None if it is known only when the file is read.
    """

    name: str
    path: Path
    small: Path
    pages: int | None


def samples(options: argparse.Namespace, folder: Path) -> Iterator[Sample]:
    """Write the documents, and yield them or the given files."""
    for suffix in {Path(name).suffix.lower() for name in options.files or options.documents}:
        for writer in [write for name, write in WRITERS.items() if name.endswith(suffix)][:1]:
            writer(folder / f"small{suffix}", 1)
    for file in options.files:
        small = folder / f"small{file.suffix.lower()}"
        yield Sample(file.name, file, small if small.exists() else Path(), None)
    for name in () if options.files else options.documents:
        WRITERS[name](folder / name, options.pages)
        yield Sample(name, folder / name, folder / f"small{Path(name).suffix}", options.pages)


def read_once(sample: Sample, version: Path) -> dict[str, float] | str:
    """Return what one reading of a file took, or why a version cannot read it."""
    path = os.pathsep.join(str(version / folder) for folder in (".", "integrations", "pipelines"))
    child = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _CHILD, str(sample.small), str(sample.path.resolve())],
        capture_output=True,
        text=True,
        check=False,
        cwd=version,  # Python looks for packages there first
        env={**os.environ, "PYTHONPATH": path},
    )
    if child.returncode:
        reason = child.stderr.strip().splitlines()[-1]
        if not reason.startswith("not read: "):
            raise RuntimeError(f"{sample.name}, read by {version}: {child.stderr}")
        return reason
    result: dict[str, float] = json.loads(child.stdout)
    return result


def measure(sample: Sample, versions: Sequence[Path], repeat: int) -> list[list[dict[str, float]]]:
    """Return the runs of each version, which take turns; no runs of a version that cannot read the file."""
    runs: list[list[dict[str, float]]] = [[] for _ in versions]
    for _ in range(repeat):
        for number, version in enumerate(versions):
            run = read_once(sample, version)
            if isinstance(run, str):
                if version == _NOW:
                    raise RuntimeError(run)
                continue
            runs[number].append(run)
    return runs


def _span(values: Sequence[float], form: str) -> str:
    return f"{min(values):{form}} (to {max(values):{form}})"


def _single(sample: Sample, runs: Sequence[dict[str, float]]) -> str:
    seconds, growth, peak = (min(run[key] for run in runs) for key in ("seconds", "megabytes", "peak"))
    pages = sample.pages or runs[0]["pages"]
    return (
        f"| {sample.name} | {sample.path.stat().st_size / 1e6:.2f} | {runs[0]['characters']:,} | {seconds:.2f} | "
        f"{seconds / pages:.4f} | {growth:.0f} | {peak:.0f} |"
    )


def _pair(sample: Sample, old: Sequence[dict[str, float]], new: Sequence[dict[str, float]]) -> str:
    cells = [sample.name, f"{sample.path.stat().st_size / 1e6:.2f}"]
    for key, form in (("seconds", ".3f"), ("megabytes", ".1f"), ("peak", ".1f")):
        now = [run[key] for run in new]
        before = [run[key] for run in old]
        cells += [_span(before, form) if before else "not read", _span(now, form)]
        is_compared = before and min(before) >= (_LEAST_GROWTH if key == "megabytes" else 0)
        cells.append(f"{min(now) / min(before):.2f}" if is_compared else "")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure the formats and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--documents", nargs="*", default=list(WRITERS), choices=list(WRITERS))
    parser.add_argument("--files", nargs="*", default=[], type=Path, help="files to read instead of the documents")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="checkout of the version to compare with")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.against is not None and not (options.against / "pipelines" / "sra_pipelines").is_dir():
        parser.error(f"--against {options.against}: there is no pipelines/sra_pipelines. Give a checkout of sra-rag.")
    versions = [_NOW] if options.against is None else [options.against.resolve(), _NOW]
    print(f"{platform.machine()}, Python {platform.python_version()}, {options.repeat} repetitions\n")
    if options.against is None:
        print("| file | MB | characters | seconds | seconds a page | memory, MB | peak, MB |\n" + "|---" * 7 + "|")
    else:
        print(
            "| file | MB | seconds before | now | ratio | growth before, MB | now | ratio | peak before, MB | now "
            "| ratio |\n" + "|---" * 11 + "|"
        )
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for sample in samples(options, Path(folder)):
            runs = measure(sample, versions, options.repeat)
            results[sample.name] = runs
            print(_single(sample, runs[0]) if len(runs) == 1 else _pair(sample, *runs), flush=True)
    if options.json:
        text = json.dumps({"versions": [str(version) for version in versions], "results": results}, indent=2)
        options.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
