"""The documents and questions of `retrieval_other_documents.py`, as PDF files with pages.

Most texts are in the folder `other_documents` and were written for this project: contracts and annual reports under
IFRS, in English, German and French; companies and figures are invented. The others are public: licences as Debian ships
them in `/usr/share/common-licenses`, and manuals from Debian's packages `installation-guide-amd64` (`install.en.pdf`),
`debian-faq-de` and `debian-faq-fr` (`debian-faq.de.pdf`, `debian-faq.fr.pdf`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fpdf import FPDF

__all__ = ["OwnQuestion", "read_questions", "write_documents"]

_FOLDER = Path(__file__).with_suffix("")
_LICENCES = ("GPL-3", "Apache-2.0", "MPL-2.0", "GFDL-1.3")
_MANUALS = ("install.en.pdf", "debian-faq.de.pdf", "debian-faq.fr.pdf")
_LINES = 40  # of a page of a licence
_CELL_MM = 28.0
_PAGE_MM = (210, 190)
_TYPOGRAPHY = str.maketrans({"\u2019": "'", "\u2013": "-", "\u2014": "-", "\u201c": '"', "\u201d": '"'})


@dataclass(frozen=True, slots=True)
class OwnQuestion:
    """A question with what its gold pages contain.

    Parameters
    ----------
    kind
        ``"contract"``, ``"report"``, ``"licence"`` or ``"manual"``.
    language
        Language of the question and its document: ``"en"``, ``"de"`` or ``"fr"``.
    document
        Name of the document, without suffix.
    question
        The question.
    gold
        Texts, one of which is on each gold page.
    """

    kind: str
    language: str
    document: str
    question: str
    gold: tuple[str, ...]

    def is_gold(self, page_text: str) -> bool:
        """Return whether a page of the document is a gold page; white space and form of quotes do not matter."""
        text = " ".join(page_text.translate(_TYPOGRAPHY).split())
        return any(" ".join(gold.translate(_TYPOGRAPHY).split()) in text for gold in self.gold)


def read_questions() -> list[OwnQuestion]:
    """Return the questions."""
    lines = (_FOLDER / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [OwnQuestion(**(row | {"gold": tuple(row["gold"])})) for row in map(json.loads, lines)]


def write_documents(to: Path, licences: Path, manuals: Path) -> list[Path]:
    """Write all documents as PDF files to a folder and return their paths.

    Raises
    ------
    FileNotFoundError
        If a licence or a manual is missing.
    """
    to.mkdir(parents=True, exist_ok=True)
    paths = []
    for source in sorted(_FOLDER.glob("*.md")):
        paths.append(to / f"{source.stem}.pdf")
        _write_text(source.read_text(encoding="utf-8"), paths[-1])
    for name in _LICENCES:
        paths.append(to / f"{name}.pdf")
        _write_lines((licences / name).read_text(encoding="utf-8").splitlines(), paths[-1])
    for name in _MANUALS:
        paths.append(to / name)
        shutil.copyfile(manuals / name, paths[-1])
    return paths


def _write_text(text: str, path: Path) -> None:
    """Lay out headings (`#`, with `#!` on a new page), paragraphs and rows, whose cells are between `|`."""
    pdf = _pdf()
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("#"):
            if line.startswith("#!") and pdf.get_y() > pdf.t_margin:
                pdf.add_page()
            pdf.ln(3)
            pdf.set_font("helvetica", "B", 12)
            pdf.multi_cell(0, 7, line.lstrip("#! "), align="L", new_x="LMARGIN", new_y="NEXT")
            pdf.set_font("helvetica", size=10.5)
        elif line.startswith("|"):
            label, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            pdf.cell(pdf.epw - _CELL_MM * len(cells), 6, label)
            for cell in cells:
                pdf.cell(_CELL_MM, 6, cell, align="R")
            pdf.ln(6)
        else:
            pdf.multi_cell(0, 6, line, align="L", new_x="LMARGIN", new_y="NEXT")
            pdf.ln(2)
    pdf.output(str(path))


def _write_lines(lines: Sequence[str], path: Path) -> None:
    pdf = _pdf()
    pdf.set_font("courier", size=8)
    for number, line in enumerate(lines):
        if number and number % _LINES == 0:
            pdf.add_page()
        pdf.cell(0, 4, line.translate(_TYPOGRAPHY), new_x="LMARGIN", new_y="NEXT")
    pdf.output(str(path))


def _pdf() -> FPDF:
    pdf = FPDF(format=_PAGE_MM)
    pdf.add_page()
    pdf.set_font("helvetica", size=10.5)
    return pdf
