"""Values of form fields, and annotations of a PDF page: what a viewer shows, at the place where it shows it."""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Callable
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from sra_pipelines.readers.layout.blocks import Run
from sra_pipelines.readers.layout.characters import Box

__all__ = ["Annotations", "read_annotations"]

_TICKED, _EMPTY = "☒", "☐"
_BUTTONS = {pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON}
_VALUES = {
    pdfium.FPDF_FORMFIELD_TEXTFIELD,
    pdfium.FPDF_FORMFIELD_COMBOBOX,
    pdfium.FPDF_FORMFIELD_LISTBOX,
}
_DRAWN = {pdfium.FPDF_ANNOT_FREETEXT, pdfium.FPDF_ANNOT_STAMP}
_COMMENTS = {
    pdfium.FPDF_ANNOT_TEXT,
    pdfium.FPDF_ANNOT_HIGHLIGHT,
    pdfium.FPDF_ANNOT_UNDERLINE,
    pdfium.FPDF_ANNOT_SQUIGGLY,
    pdfium.FPDF_ANNOT_STRIKEOUT,
    pdfium.FPDF_ANNOT_CARET,
    pdfium.FPDF_ANNOT_SQUARE,
    pdfium.FPDF_ANNOT_CIRCLE,
    pdfium.FPDF_ANNOT_LINE,
    pdfium.FPDF_ANNOT_POLYGON,
    pdfium.FPDF_ANNOT_POLYLINE,
    pdfium.FPDF_ANNOT_INK,
}
_HIDDEN = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW
_PASSWORD = 1 << 13  # of the flags of a text field


@dataclasses.dataclass(slots=True)
class Annotations:
    """What the annotations of a page add to its text.

    Parameters
    ----------
    ticks
        ``☒`` or ``☐`` for each box to tick.
    values
        Values of text fields and texts that are drawn on the page, with their places.
    comments
        Comments, which viewers show beside the page.
    """

    ticks: list[Run] = dataclasses.field(default_factory=list)
    values: list[Run] = dataclasses.field(default_factory=list)
    comments: list[str] = dataclasses.field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.ticks or self.values or self.comments)


def read_annotations(pdf: pypdfium2.PdfDocument, page: pypdfium2.PdfPage) -> Annotations:
    """Return the field values, texts and comments of a page; hidden ones, and passwords, are left out."""
    result = Annotations()
    for index in range(pdfium.FPDFPage_GetAnnotCount(page)):
        annotation = pdfium.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        try:
            if not pdfium.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
                _add(result, pdf, annotation)
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)
    return result


def _add(result: Annotations, pdf: pypdfium2.PdfDocument, annotation: pdfium.FPDF_ANNOTATION) -> None:
    kind = pdfium.FPDFAnnot_GetSubtype(annotation)
    if kind == pdfium.FPDF_ANNOT_WIDGET:
        _add_field(result, pdf, annotation)
    elif kind in _DRAWN or kind in _COMMENTS:
        text = _string(lambda buffer, size: pdfium.FPDFAnnot_GetStringValue(annotation, b"Contents", buffer, size))
        if text and kind in _DRAWN:
            result.values.append(Run(text, _place(annotation)))
        elif text:
            result.comments.append(text)


def _add_field(result: Annotations, pdf: pypdfium2.PdfDocument, annotation: pdfium.FPDF_ANNOTATION) -> None:
    form = pdf.formenv
    if form is None:
        return
    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in _BUTTONS:
        ticked = pdfium.FPDFAnnot_IsChecked(form, annotation)
        result.ticks.append(Run(_TICKED if ticked else _EMPTY, _place(annotation)))
    elif kind in _VALUES and not pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD:
        text = _string(lambda buffer, size: pdfium.FPDFAnnot_GetFormFieldValue(form, annotation, buffer, size))
        if text:
            result.values.append(Run(text, _place(annotation)))


def _place(annotation: pdfium.FPDF_ANNOTATION) -> Box:
    rectangle = pdfium.FS_RECTF()
    pdfium.FPDFAnnot_GetRect(annotation, rectangle)
    return Box(rectangle.left, rectangle.bottom, rectangle.right, rectangle.top)


def _string(get: Callable[[Any, int], int]) -> str:
    """Return a string of PDFium on one line: it gives the size in bytes first, then UTF-16 with a zero at the end."""
    size = get(None, 0)
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    get(buffer, size)
    return " ".join(bytes(buffer)[: max(0, size - 2)].decode("utf-16-le", "replace").split())
