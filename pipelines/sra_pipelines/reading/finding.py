"""Find the documents in folders, and give each a unique name."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sra_pipelines.file_names import printable
from sra_pipelines.readers import FORMATS, known_names
from sra_pipelines.values import DocumentError

__all__ = ["LeftOut", "document_names", "find_documents", "left_out", "visible_paths"]


def visible_paths(folder: Path) -> Iterator[Path]:
    """Yield every file and folder below a folder, sorted.

    Hidden ones, those in hidden folders, and the lock files of office programs (``~$...``) are left out.
    """
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and not path.name.startswith("~$"):
            yield path


def find_documents(paths: Iterable[Path]) -> list[Path]:
    """Return files, and the sorted documents in folders and their subfolders, without duplicates.

    For the files that are skipped, see `visible_paths`.

    Raises
    ------
    DocumentError
        If a folder contains no file of a supported format.
    """
    documents: dict[Path, None] = {}
    for path in paths:
        files = [path]
        if path.is_dir():
            files = [p for p in visible_paths(path) if p.suffix.lower() in FORMATS and not p.is_dir()]
        if not files:
            raise DocumentError(
                f"{path}: the folder contains no documents. Give files, or a folder with {known_names()} files."
            )
        documents.update(dict.fromkeys(files))
    return list(documents)


@dataclasses.dataclass(frozen=True, slots=True)
class LeftOut:
    """What is in folders but is not read.

    Parameters
    ----------
    files
        Files of unsupported formats.
    linked_folders
        Symbolic links to folders, which are not followed.
    """

    files: tuple[Path, ...] = ()
    linked_folders: tuple[Path, ...] = ()


def left_out(paths: Iterable[Path]) -> LeftOut:
    """Return what `find_documents` does not read in folders, without hidden files."""
    files: dict[Path, None] = {}
    links: dict[Path, None] = {}
    for folder in (path for path in paths if path.is_dir()):
        for path in visible_paths(folder):
            if path.is_symlink() and path.is_dir():
                links[path] = None
            elif path.is_file() and path.suffix.lower() not in FORMATS:
                files[path] = None
    return LeftOut(tuple(files), tuple(links))


def document_names(paths: Sequence[Path], taken: Iterable[str] = ()) -> list[str]:
    """Return unique names for documents: ``report``, or ``report.docx``, or ``2023/report.docx``.

    What is not UTF-8 in a name is escaped, since names reach prompts, citations and JSON.

    Parameters
    ----------
    paths
        Paths of the files, without duplicates.
    taken
        Names that are already in use.
    """
    used = Counter(taken)
    stems = Counter(printable(path.stem) for path in paths)
    names = []
    for path in paths:
        parts = tuple(map(printable, path.parts))
        stem = printable(path.stem)
        candidates = [stem] if stems[stem] == 1 else []
        candidates += ["/".join(parts[-depth:]) for depth in range(1, len(parts) + 1)]
        name = next((c for c in candidates if not used[c]), f"{printable(str(path))}#{used.total()}")
        used[name] += 1
        names.append(name)
    return names
