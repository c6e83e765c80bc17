"""Plan an ``add``: which files are new, changed, moved or deleted, and the names of their documents."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sra_pipelines.index.catalog import IndexedDocument
from sra_pipelines.readers import where_to_look
from sra_pipelines.reading.finding import LeftOut, document_names, visible_paths
from sra_pipelines.reading.processes import file_hash
from sra_pipelines.values import DocumentError

__all__ = ["Plan", "Source", "find_files", "make_plan"]


@dataclasses.dataclass
class Plan:
    """The work of an ``add``.

    Parameters
    ----------
    to_read
        Document name and hash of each new or changed file.
    changed
        The files in `to_read` of which the index has an older version.
    unchanged
        Files that the index already has in this version.
    moved
        New paths by the path in the index, for files with the same name and contents in another folder.
    duplicates
        Files with the same contents as another file, mapped to the path of that file.
    gone
        Documents in the index whose files no longer exist, which are removed.
    kept
        Documents whose files no longer exist, which stay because the ``add`` does not synchronize.
    failed
        Files that cannot be opened, mapped to the reason.
    """

    to_read: dict[Path, tuple[str, str]] = dataclasses.field(default_factory=dict)
    changed: set[Path] = dataclasses.field(default_factory=set)
    unchanged: list[Path] = dataclasses.field(default_factory=list)
    moved: dict[str, Path] = dataclasses.field(default_factory=dict)
    duplicates: dict[Path, str] = dataclasses.field(default_factory=dict)
    gone: list[IndexedDocument] = dataclasses.field(default_factory=list)
    kept: list[IndexedDocument] = dataclasses.field(default_factory=list)
    failed: dict[Path, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A file or folder that was passed to an ``add``.

    Parameters
    ----------
    root
        Resolved path of the file or folder.
    linked
        Resolved targets of the symbolic links in the folder, whether they exist or not.
    """

    root: Path
    linked: frozenset[Path] = frozenset()

    def holds(self, path: Path) -> bool:
        """Return whether a file is in this source, or is the target of a link in it."""
        return self.root == path or self.root in path.parents or path in self.linked


def find_files(paths: Iterable[Path], index: Path) -> tuple[list[Path], LeftOut, list[Source]]:
    """Find the files to index in files and folders.

    Returns
    -------
    files
        Resolved paths without duplicates, sorted within each folder.
    left_out
        Files of unsupported types and links to folders.
    sources
        One source for each of `paths`.
    """
    files: dict[Path, None] = {}
    left_out = LeftOut()
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
            if not left_out.takes(path) and path.is_file():
                files[path.resolve()] = None
        sources.append(Source(root, frozenset(linked)))
    return list(files), left_out, sources


def make_plan(
    files: Sequence[Path],
    sources: Sequence[Source],
    known: Iterable[IndexedDocument],
    *,
    sync: bool,
    on_file: Callable[[int, int], None] | None = None,
) -> Plan:
    """Compare files with the documents of an index.

    Parameters
    ----------
    files
        Resolved paths of the files.
    sources
        Files and folders of the ``add``; only their documents can be ``gone``.
    known
        Documents of the index.
    sync
        Whether documents without a file will be removed.
    on_file
        Called with the number of files hashed so far and the total number.
    """
    plan = Plan()
    by_path = {document.path: document for document in known}
    absent = {path for path in by_path if _is_gone(path)}
    lost = (document for path, document in by_path.items() if path in absent and _any_holds(sources, Path(path)))
    (plan.gone if sync else plan.kept).extend(sorted(lost, key=lambda document: document.name))
    by_hash: dict[str, list[IndexedDocument]] = {}
    for document in by_path.values():
        by_hash.setdefault(document.sha256, []).append(document)

    new: dict[Path, str] = {}
    seen: dict[str, Path] = {}
    for number, path in enumerate(files, start=1):
        indexed = by_path.get(str(path))
        try:
            if not path.is_file():
                raise DocumentError(f"{path}: there is no such file or folder. {where_to_look(path)}")
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
        if indexed is not None and indexed.sha256 == digest:
            plan.unchanged.append(path)
            seen.setdefault(digest, path)
        elif indexed is not None:
            plan.changed.add(path)
            plan.to_read[path] = indexed.name, digest
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
    """Remove moved files and duplicates from `new`, and record them in the plan."""
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
    plan.gone = [document for document in plan.gone if document.path not in plan.moved]
    plan.kept = [document for document in plan.kept if document.path not in plan.moved]


def _name_new(plan: Plan, new: dict[Path, str], by_path: dict[str, IndexedDocument]) -> None:
    gone = {document.path for document in plan.gone}
    taken = [document.name for document in by_path.values() if document.path not in gone]
    for path, name in zip(new, document_names(list(new), taken), strict=True):
        plan.to_read[path] = name, new[path]


def _any_holds(sources: Sequence[Source], path: Path) -> bool:
    return any(source.holds(path) for source in sources)


def _is_gone(path: str) -> bool:
    """Return whether a file does not exist; one that cannot be checked (permissions, network error) is not gone."""
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
    except (OSError, RuntimeError):  # a cycle of links; an OSError since Python 3.13
        return None
