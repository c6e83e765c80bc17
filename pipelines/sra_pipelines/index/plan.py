"""What an ``add`` has to do: which files are new or changed, moved or gone, and how each will be called."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sra_pipelines.index.catalog import IndexedDocument
from sra_pipelines.readers import FORMATS
from sra_pipelines.reading.finding import document_names, visible_paths
from sra_pipelines.reading.processes import file_hash
from sra_pipelines.values import DocumentError

__all__ = ["Plan", "Source", "find_files", "make_plan"]


@dataclasses.dataclass
class Plan:
    """What an ``add`` has to do.

    Parameters
    ----------
    to_read
        Name and hash of each file that is new or changed.
    changed
        Those of them of which the index holds an older version.
    unchanged
        Files that are in the index as they are.
    moved
        New path by the path in the index: the same bytes under the same file name.
    duplicates
        Files that hold the same bytes as another, by that other.
    gone
        Documents in the index whose files are not there any more.
    failed
        Files that cannot be opened, and why.
    """

    to_read: dict[Path, tuple[str, str]] = dataclasses.field(default_factory=dict)
    changed: set[Path] = dataclasses.field(default_factory=set)
    unchanged: list[Path] = dataclasses.field(default_factory=list)
    moved: dict[str, Path] = dataclasses.field(default_factory=dict)
    duplicates: dict[Path, str] = dataclasses.field(default_factory=dict)
    gone: list[IndexedDocument] = dataclasses.field(default_factory=list)
    failed: dict[Path, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A file or folder that an ``add`` was given.

    Parameters
    ----------
    root
        Its resolved path.
    linked
        Resolved targets of the links inside it, whether they exist or not.
    """

    root: Path
    linked: frozenset[Path] = frozenset()

    def holds(self, path: Path) -> bool:
        """Whether a document's file is inside this source, or a link inside it points to the file."""
        return self.root == path or self.root in path.parents or path in self.linked


def find_files(paths: Iterable[Path], index: Path) -> tuple[list[Path], Counter[str], list[Source]]:
    """Find the files to index below folders and among files.

    Returns
    -------
    files
        Resolved, sorted below each folder, each once.
    others
        How many files of other types lie there, by suffix.
    sources
        One for each path that was asked for.
    """
    files: dict[Path, None] = {}
    others: Counter[str] = Counter()
    sources: list[Source] = []
    inside = index.resolve()
    for root in [path.resolve() for path in paths]:
        if not root.is_dir():
            files[root] = None
            sources.append(Source(root))
            continue
        linked: set[Path] = set()
        for path in visible_paths(root):
            if inside in path.parents:
                continue
            if path.is_symlink() and (target := _target(path)) is not None:
                linked.add(target)
            if not path.is_file():
                continue
            if path.suffix.lower() in FORMATS:
                files[path.resolve()] = None
            else:
                others[path.suffix.lower() or "without a suffix"] += 1
        sources.append(Source(root, frozenset(linked)))
    return list(files), others, sources


def make_plan(
    files: Sequence[Path],
    sources: Sequence[Source],
    known: Iterable[IndexedDocument],
    *,
    sync: bool,
    on_file: Callable[[int, int], None] | None = None,
) -> Plan:
    """Hold files against what an index holds.

    Parameters
    ----------
    files
        Resolved paths.
    sources
        What was asked for; ``gone`` is looked for in them only.
    known
        The index's documents.
    sync
        Whether what is gone will be removed.
    on_file
        Called with files hashed and files in all.
    """
    plan = Plan()
    by_path = {one.path: one for one in known}
    absent = {path for path in by_path if _is_gone(path)}
    if sync:
        gone = (one for path, one in by_path.items() if path in absent and _any_holds(sources, Path(path)))
        plan.gone = sorted(gone, key=lambda one: one.name)
    by_hash: dict[str, list[IndexedDocument]] = {}
    for one in by_path.values():
        by_hash.setdefault(one.sha256, []).append(one)

    new: dict[Path, str] = {}
    seen: dict[str, Path] = {}
    for number, path in enumerate(files, start=1):
        about = by_path.get(str(path))
        try:
            if not path.is_file():
                raise DocumentError(f"{path}: there is no such file. Check the path.")
            digest = file_hash(path)
        except DocumentError as problem:
            plan.failed[path] = str(problem)
            continue
        except OSError as error:
            plan.failed[path] = f"{path}: the file cannot be opened ({error.strerror}). Check its permissions."
            continue
        finally:
            if on_file is not None:
                on_file(number, len(files))
        if about is not None and about.sha256 == digest:
            plan.unchanged.append(path)
            seen.setdefault(digest, path)
        elif about is not None:
            plan.changed.add(path)
            plan.to_read[path] = about.name, digest
            seen.setdefault(digest, path)
        else:
            new[path] = digest
    _place_new(plan, new, seen, by_hash, absent)
    _name_new(plan, new, by_path)
    return plan


def _place_new(
    plan: Plan,
    new: dict[Path, str],
    seen: dict[str, Path],
    by_hash: dict[str, list[IndexedDocument]],
    absent: set[str],
) -> None:
    """Take out of the new files those that moved and those that are there already."""
    for path, digest in list(new.items()):
        same = by_hash.get(digest, [])
        left = [a for a in same if a.path in absent and a.path not in plan.moved and Path(a.path).name == path.name]
        present = next((a.path for a in same if a.path not in absent and Path(a.path) not in plan.changed), None)
        if digest in seen or present is not None:
            plan.duplicates[path] = str(seen.get(digest, present))
        elif left:
            plan.moved[left[0].path] = path
            seen[digest] = path
        else:
            seen[digest] = path
            continue
        del new[path]
    plan.gone = [about for about in plan.gone if about.path not in plan.moved]


def _name_new(plan: Plan, new: dict[Path, str], by_path: dict[str, IndexedDocument]) -> None:
    gone = {about.path for about in plan.gone}
    taken = [about.name for about in by_path.values() if about.path not in gone]
    for path, name in zip(new, document_names(list(new), taken), strict=True):
        plan.to_read[path] = name, new[path]


def _any_holds(sources: Sequence[Source], path: Path) -> bool:
    return any(source.holds(path) for source in sources)


def _is_gone(path: str) -> bool:
    """Whether there is no such file; one that cannot be looked at (permissions, a network that fails) is not gone."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _target(link: Path) -> Path | None:
    try:
        return link.resolve()
    except (OSError, RuntimeError):  # a circle of links; an OSError from Python 3.13 on
        return None
