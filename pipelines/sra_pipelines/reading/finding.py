"""Find the documents in folders, and give each a unique name."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sra_pipelines.file_names import visible_name
from sra_pipelines.readers import FORMATS, known_names
from sra_pipelines.unicode_forms import composed
from sra_pipelines.values import DocumentError

__all__ = ["LeftOut", "document_names", "find_documents", "visible_paths"]

_SHOWN = 10  # names in a message


@dataclasses.dataclass(slots=True)
class LeftOut:
    """What is not read of the folders that are searched, hidden files excepted.

    Parameters
    ----------
    files
        Files of unsupported types.
    linked_folders
        Links to folders, which are not searched: such a link may lead to a whole disk, or back to its own folder.
    """

    files: list[Path] = dataclasses.field(default_factory=list)
    linked_folders: list[Path] = dataclasses.field(default_factory=list)

    def takes(self, path: Path) -> bool:
        """Return whether a path below a folder is left out, and note it."""
        if path.is_dir():
            if path.is_symlink():
                self.linked_folders.append(path)
            return True
        if path.suffix.lower() in FORMATS:
            return False
        if path.is_file():
            self.files.append(path)
        return True

    @property
    def types(self) -> Counter[str]:
        """Number of the files by suffix."""
        return Counter(path.suffix.lower() or "without a suffix" for path in self.files)

    def __str__(self) -> str:
        parts = [f"{_few(self.files)} (unsupported type)"] if self.files else []
        if self.linked_folders:
            parts.append(f"{_few(self.linked_folders)} (a link to a folder: give the folder itself)")
        return ", ".join(parts)


def _few(paths: Sequence[Path]) -> str:
    names = ", ".join(visible_name(path.name) for path in paths[:_SHOWN])
    return f"{names} and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else names


def visible_paths(folder: Path) -> Iterator[Path]:
    """Yield every file and folder below a folder, sorted.

    Hidden ones, those in hidden folders, and the lock files of office programs (``~$...``) are left out.
    """
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and not path.name.startswith("~$"):
            yield path


def find_documents(paths: Iterable[Path], left_out: LeftOut | None = None) -> list[Path]:
    """Return files, and the sorted documents in folders and their subfolders, without duplicates.

    Parameters
    ----------
    paths
        Files and folders. For the hidden files that are skipped, see `visible_paths`.
    left_out
        Record to which the other files and folders that are not read are added.

    Raises
    ------
    DocumentError
        If a folder contains no file of a supported format.
    """
    documents: dict[Path, None] = {}
    for path in paths:
        files = [path]
        if path.is_dir():
            others = LeftOut() if left_out is None else left_out
            files = [p for p in visible_paths(path) if not others.takes(p)]
            if not files:
                skipped = f" Left out: {others}." if str(others) else ""
                raise DocumentError(
                    f"{path}: the folder contains no documents. Give files, or a folder with {known_names()} files."
                    f"{skipped}"
                )
        documents.update(dict.fromkeys(files))
    return list(documents)


def document_names(paths: Sequence[Path], taken: Iterable[str] = ()) -> list[str]:
    """Return unique names for documents: ``report``, or ``report.docx``, or ``2023/report.docx``.

    What is not UTF-8 in a name is escaped, since names reach prompts, citations and JSON, and all are composed (NFC),
    since macOS and Linux write the same name differently.

    Parameters
    ----------
    paths
        Paths of the files, without duplicates.
    taken
        Names that are already in use.
    """
    used = Counter(taken)
    stems = Counter(_shown(path.stem) for path in paths)
    names = []
    for path in paths:
        parts = tuple(map(_shown, path.parts))
        stem = _shown(path.stem)
        candidates = [stem] if stems[stem] == 1 else []
        candidates += ["/".join(parts[-depth:]) for depth in range(1, len(parts) + 1)]
        name = next((c for c in candidates if not used[c]), f"{_shown(str(path))}#{used.total()}")
        used[name] += 1
        names.append(name)
    return names


def _shown(name: str) -> str:
    return composed(visible_name(name))
