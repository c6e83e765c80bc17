"""The title and the values of a chart, and the texts of a diagram, as their files store them, in lines."""

from __future__ import annotations

from typing import Any

from sra_pipelines.readers.sheets.number_format import shown_value
from sra_pipelines.readers.tables import Cell, table_lines

__all__ = ["CHART", "chart_lines", "chart_title", "diagram_lines"]

_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
CHART = f"{_C}chart"
"""Tag of an element that refers to a chart, or contains it."""
_TEXT = "{http://schemas.openxmlformats.org/drawingml/2006/main}t"
_PARAGRAPH = "{http://schemas.openxmlformats.org/drawingml/2006/main}p"
_MOST_POINTS = 10_000
_MOST_SERIES = 255


def chart_title(chart: Any) -> str:
    """Return the title of a chart; empty if it has none."""
    title = next(chart.iter(f"{_C}title"), None)
    if title is None or title.getparent().tag != CHART:  # that of an axis
        return ""
    texts = [element.text or "" for element in title.iter(_TEXT)] or [v.text or "" for v in title.iter(f"{_C}v")]
    return " ".join("".join(texts).split())


def chart_lines(chart: Any) -> list[str]:
    """Return the title of a chart, and its values as the rows of a table: one for each category.

    Parameters
    ----------
    chart
        Root of the part with the chart.
    """
    series = list(chart.iter(f"{_C}ser"))[:_MOST_SERIES]
    names = [" ".join(v.text or "" for tx in one.iterchildren(f"{_C}tx") for v in tx.iter(f"{_C}v")) for one in series]
    categories: dict[int, str] = {}
    values: list[dict[int, str]] = []
    for one in series:
        categories = _points(one, "cat", "xVal") | categories
        values.append(_points(one, "val", "yVal"))
    points = sorted({index for one in (categories, *values) for index in one})[:_MOST_POINTS]
    rows: list[list[Cell | str]] = [[Cell("", header=True), *(Cell(name, header=True) for name in names)]]
    rows += [[categories.get(index, str(index + 1)), *(one.get(index, "") for one in values)] for index in points]
    return [f"Chart: {chart_title(chart)}".rstrip(": "), *(table_lines(rows) if points else ())]


def diagram_lines(diagram: Any) -> list[str]:
    """Return the texts of a diagram (SmartArt), one line for each paragraph.

    Parameters
    ----------
    diagram
        Root of the part with the data of the diagram.
    """
    paragraphs = ("".join(t.text or "" for t in p.iter(_TEXT)) for p in diagram.iter(_PARAGRAPH))
    return [line for line in (" ".join(text.split()) for text in paragraphs) if line]


def _points(series: Any, *kinds: str) -> dict[int, str]:
    """Return the texts of the stored points by their index."""
    points: dict[int, str] = {}
    for kind in kinds:
        for group in series.iterchildren(f"{_C}{kind}"):
            code = next((element.text or "" for element in group.iter(f"{_C}formatCode")), "General")
            is_number = next(group.iter(f"{_C}numCache", f"{_C}numLit"), None) is not None
            for point in group.iter(f"{_C}pt"):
                text = next((v.text or "" for v in point.iterchildren(f"{_C}v")), "")
                index = point.get("idx", "")
                if index.isdecimal() and len(index) <= 6:
                    points[int(index)] = _shown(text, code) if is_number else " ".join(text.split())
    return points


def _shown(text: str, code: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return text
    return shown_value(int(number) if number.is_integer() else number, code)
