"""Open a workbook with openpyxl, without what is not used of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Any

from openpyxl.reader.excel import ExcelReader
from openpyxl.worksheet._read_only import ReadOnlyWorksheet
from openpyxl.worksheet._reader import WorkSheetParser

__all__ = ["open_workbook"]


class _Worksheet(ReadOnlyWorksheet):
    """A worksheet of which no more is read than its rows.

    openpyxl parses the beginning of each sheet for the stated dimensions when the workbook is opened: all of a small
    sheet. They may be wrong, so they are not used here.
    """

    rich_text = False

    def _get_size(self) -> None:
        self.reset_dimensions()

    def _cells_by_row(self, *_arguments: object, **_options: object) -> Iterator[Sequence[Any]]:
        """Yield all rows; openpyxl would not keep the fonts within texts that are stored in the sheet itself."""
        book = self.parent
        with self._get_source() as source:
            parser = WorkSheetParser(
                source,
                self._shared_strings,
                data_only=book.data_only,
                epoch=book.epoch,
                date_formats=book._date_formats,
                timedelta_formats=book._timedelta_formats,
                rich_text=self.rich_text,
            )
            following = 1
            for number, cells in parser.parse():
                for _ in range(following, number):
                    yield ()
                if number >= following:
                    yield self._get_row(cells)
                following = max(following, number + 1)


class _Reader(ExcelReader):
    def read_worksheets(self) -> None:
        """Add the worksheets to the workbook."""
        for sheet, relationship in self.parser.find_sheets():
            if relationship.target not in self.valid_files:
                continue
            if "chartsheet" in relationship.Type:
                self.read_chartsheet(sheet, relationship)
                continue
            worksheet = _Worksheet(self.wb, sheet.name, relationship.target, self.shared_strings)
            worksheet.sheet_state, worksheet.rich_text = sheet.state, self.rich_text
            self.wb._sheets.append(worksheet)


def open_workbook(file: IO[bytes], *, data_only: bool, rich_text: bool = False) -> Any:
    """Open a workbook for reading.

    Parameters
    ----------
    file
        The file.
    data_only
        Whether the saved values of formulas are read, and not their texts.
    rich_text
        Whether the fonts within texts are kept.
    """
    file.seek(0)
    reader = _Reader(file, read_only=True, data_only=data_only, keep_links=False, rich_text=rich_text)
    reader.read()
    return reader.wb
