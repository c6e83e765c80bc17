"""Word, Excel and PowerPoint files before 2007: raised and hidden text, number formats, and what is not read."""

import base64
import datetime
import io
import lzma
import struct

import olefile
import pytest
import xlwt
from sra_pipelines.readers import read_document
from sra_pipelines.readers.old_office.compound import slide_tables
from sra_pipelines.readers.old_office.old_word import with_marks
from sra_pipelines.readers.sheets import xls
from sra_pipelines.values import DocumentError

# A file of LibreOffice: "Area 100", a raised 2, "m, 10", a raised 6 ..., hidden text, a numbered item, a table.
WORD = lzma.decompress(
    base64.b64decode(
        "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4Cv/BfZdAGgzvhyGMHdg9KSEKcLeHHYngvKRhtyIyie6+ShHvAmIYI0Ww1wRDiIAAQbtcH9F7o2NKd"
        "bk6yje9s0UgmPYCzpZuWhVnfDLzmQRdT59DEvRIWfYtKTAB9yGDLNnzG7YQlJNCk0L8cEJOU11RBnK69h/M99/OjfHtxJS/fJDbei3q8yYkmph"
        "V42NZVPy0jA3vmNYwtvSZ/PFFYCoTSEUu++0YCR4h220Zx5SGZgVfyAqP103R6rYM7fmRTvLcvMCNaBE23wSSmMWwgAcfD2B3Y1wiPe01kSEM/"
        "/qYE/H2keqWVGhWJqSQMq1EvVK+UDRoq583vSDs6rqMiYKzB/BQP1eqaecDAEZenzdSAvWaeaYFD5znB72TkKAz8hPezmO5ZibgW9fyobAkBo8"
        "Q6ZLEUu/aiUURtZQrybQKkD2VRWgWXXf3WYuNJ+wqq8nsFBmSFkOIMiBJYbiRuX4lWobRDVjOdr8fxESjJW/oR4hTAk4Ig5guAdHS42C2vvkhF"
        "byPfKhkgGnRZKL82wYTESc5IWllKWAEVWYhEVeZLSBQ0ejuJtqyyktvXRYo7c+I0Ri1cp9kIcNlG0lXewMaYJAcan7L50x4XiOvsO5CDsny7KS"
        "8ODIi4JoYco+c1+ufoitxzu+qNtg0bGG9uGDHSSgXUpxGOwiOx11addp3KuRfyRoDsAQbZrvsUp8EhqMM10cgwa+4YCGCnRhwTfudKGJxvNLoR"
        "mC+3i8EQehtrSxr1i7LvDs0cU0Z+U359kZMH4FQNIkIKjC5F56x7KWrmZ59EklTZhq39/V42Ddkp4LusI8FVpwV5n5A2n9YccQ6+RAVwycYJHy"
        "hcbGj4sAHUeaNvj1/TTWrml6tsHZ3mTFf3dHDFi4s3LDO3TjRSwXDoxe2a/ElZStI6hMKup2suQMi74wAx1LiIGtOBC9v68wyLxWDo4/pfKGOg"
        "Zp1DurcuPE5Bk23HuNbSPPfRsp8YVszSLOGK/QjIK+MwK3/g/szqPgE1DwWXZTpjmi6ztCUlJIEvmIXw2sJzgb2VeIfCqd0l9lRyP0aW//Slf5"
        "slwbZNp/sKbUnGV0BjXzeoxBc/BelveSFobUbdWRlganMXGK3LLend4MfOsdxczOOLevHdGiukfgILzMvYMKbFGyOq9K0ZDyzJ+nlxN0l/bPuN"
        "vJ/qevAYJjvdxgJdrmKfBAsT+Qt6tG34FqRVwACkNEK9ygR+hp088c5Gm88IEHaLSPIQlfpXMaY06D5rAVnoMbVWa4oYXu9hOrsoUlBof6Jw2R"
        "vBCuRznM4EYvsA0iYqE4ftSjlbSUM+H8l0WPhSbDA46n6PcJAaZrTmlZSdvQ+/DTtvQBn0FtZrtxPqCu+my5yAa+91gN+9T21OLBEbbc/aUFbC"
        "5iHMtuSfAZyf6HZG/BhxWxYToHAqy31CxeSqIuVejfDlLpCZuq/4vhuLED46xAfP+NRa/amVtARE/jnqbzhtHoV/QUyxU8zw1tH/LXcrno1jaf"
        "0own4heTqtQGYSAIe9nqp35hmyB7usyEHozFl6zAq+9qUBAQQaYEsA0zQnmHT0yvkr6wbW1pffGejHm4kBfuIh7cMw4Ti7gmAuguHahm+ndVEf"
        "89Y/Fc0SQ2vsjcwKBBUBthnh0ko+VwbCYWqXFgYJl/9DZ1FzKXnUpkiGtktPv7lYP/dFEovgtMW/cK0eA/xIlTyzoo/zd7IUvzTiQmQcScs2ov"
        "2qF/nCxlNBD5TTWrNLeyhv2k7cu+kY+wxv+yrScJIkkxOf9mDjIcX0f3RPxd1hvJcv7MY8ZiHU7du6mnQL6Zr8ujWyNboUiiC8JEMnWoVs8sG9"
        "CQ5/g8bkRWwLyJxkW8woIhHxdPjv8vDmSV3JHPOWEXfCIs9YTPaYHOshUmnbfq1BUYvEaFoXyeWcuWy3XxPBlIaqrGuQ1ju2zADbztZrvtvK94"
        "jVJFjA+6ybj1d4NTAgQMARfSPgLY71ZXyYxBcIfL482CRbyXxp2d8jE0NaDAWDtPPk/B/+nS5hN70IqhC6eMfzPV6p/b+Hd8AAAAsVkK7dYXez"
        "4AAZIMgFgAAKdH/dmxxGf7AgAAAAAEWVo="
    )
)


def read(path):
    return [(page.label, page.text.split("\n")) for page in read_document(path).pages]


# -- DOC ---------------------------------------------------------------------------------------------------------------


def one_byte(data):
    """Return the file with its text in windows-1252, as Word writes it, and not in UTF-16."""
    file = io.BytesIO(data)
    with olefile.OleFileIO(file) as compound:
        text, table = (bytearray(compound.openstream(name).read()) for name in ("WordDocument", "1Table"))
        start, _ = struct.unpack_from("<II", text, 0x01A2)
        assert table[start] == 2
        count = (struct.unpack_from("<I", table, start + 1)[0] - 4) // 12
        assert count == 1
        place = start + 5 + 4 * (count + 1) + 2
        characters = struct.unpack_from("<I", table, start + 9)[0]
        (first,) = struct.unpack_from("<I", table, place)
        struct.pack_into("<I", table, place, 0x40000000 | 2 * first)
        text[first : first + characters] = text[first : first + 2 * characters : 2]
        for part in (0x00FA, 0x0102):  # the bounds of the runs of characters and paragraphs
            begin, size = struct.unpack_from("<II", text, part)
            pages = (size - 4) // 8
            for page in struct.unpack_from(f"<{pages}I", table, begin + 4 * (pages + 1)):
                runs = text[512 * page + 511]
                for index in range(runs + 1):
                    at = 512 * page + 4 * index
                    (bound,) = struct.unpack_from("<I", text, at)
                    struct.pack_into("<I", text, at, first + (bound - first) // 2)
        compound.write_stream("WordDocument", bytes(text))
        compound.write_stream("1Table", bytes(table))
        return file.getvalue()


@pytest.mark.parametrize("change", [bytes, one_byte], ids=["UTF-16", "windows-1252"])
def test_raised_digits_do_not_join_the_number_before_them_and_hidden_text_is_left_out(tmp_path, change):
    (tmp_path / "a.doc").write_bytes(change(WORD))
    (page,) = read_document(tmp_path / "a.doc").pages
    assert page.text.split("\n")[:2] == ["Area 100² m, 10⁶ crowns, revenue 500⁴⁷", "Seen."]
    assert page.text.split("\n")[-2:] == ["Item | 2022 | 2023", "Item: Fees | 2023: 500"]
    assert page.notices == (
        "automatic numbers of lists and clauses are not read from DOC files; save it as DOCX to have them",
    )


def test_a_file_without_raised_digits_and_hidden_text_is_unchanged():
    marked, _ = with_marks(WORD)
    assert marked != WORD
    assert len(marked) == len(WORD)
    with olefile.OleFileIO(io.BytesIO(WORD)) as compound:
        text = bytearray(compound.openstream("WordDocument").read())
    plain = WORD.replace(bytes(text[:12]), bytes(text[:10]) + bytes([text[10], text[11] | 1]))  # marked as encrypted
    assert with_marks(plain) == (plain, {})


def test_a_file_with_macros_is_refused(tmp_path):
    name = "\x05SummaryInformation".encode("utf-16-le")
    at = WORD.index(name)
    entry = bytearray(WORD[at : at + 128])
    entry[:64] = "Macros".encode("utf-16-le").ljust(64, b"\0")
    entry[64] = 14
    (tmp_path / "a.doc").write_bytes(WORD[:at] + bytes(entry) + WORD[at + 128 :])
    with pytest.raises(DocumentError, match="contains macros.*as DOCX"):
        read_document(tmp_path / "a.doc")


# -- PPT ---------------------------------------------------------------------------------------------------------------


def record(kind, content, *, instance=0, container=False):
    return struct.pack("<HHI", instance << 4 | (0xF if container else 3), kind, len(content)) + content


def test_tables_of_slides_are_counted():
    table = record(0xF122, struct.pack("<HIHI", 0x0380, 5, 0x039F, 1), instance=2)
    other = record(0xF122, struct.pack("<HI", 0x039F, 0), instance=1)
    slide = record(1006, record(0xF003, table + other, container=True), container=True)
    assert slide_tables(record(1000, slide * 2, container=True)) == 2
    assert slide_tables(record(1000, record(1006, other, container=True), container=True)) == 0


# -- XLS ---------------------------------------------------------------------------------------------------------------


def test_values_of_a_workbook_are_those_that_excel_shows(tmp_path):
    book = xlwt.Workbook()
    sheet = book.add_sheet("Rates")
    rows = [
        ("VAT", 21, '0"%"', "21%"),
        ("Code", 1234, "00000", "01234"),
        ("Hours", 30.25 / 24, "[h]:mm", "30:15"),
        ("Fee", 1234.5, "#,##0.00\\ [$€-407]", "1,234.50 €"),
        ("Share", 0.5, "# ?/?", "0.5"),
        ("Tiny", 0.0000004, "General", "0.0000004"),
        ("Loss", -500, "#,##0;(#,##0)", "(500)"),
        ("Day", datetime.date(2024, 3, 1), "d/m/yy", "2024-03-01"),
        ("End", datetime.date(2027, 3, 31), "d mmmm yyyy", "31 March 2027"),
        ("Paid", True, "General", "TRUE"),
    ]
    for number, (label, value, number_format, _) in enumerate(rows):
        sheet.write(number, 0, label)
        sheet.write(number, 1, value, xlwt.easyxf(num_format_str=number_format))
    raised = xlwt.Font()
    raised.escapement = xlwt.Font.ESCAPEMENT_SUPERSCRIPT
    sheet.write_rich_text(len(rows), 0, [("Area 100", xlwt.Font()), ("2", raised), (" m", xlwt.Font())])
    sheet.write(len(rows), 1, 3)
    book.save(str(tmp_path / "a.xls"))
    assert read(tmp_path / "a.xls") == [("Rates", [*[f"{row[0]} | {row[3]}" for row in rows], "Area 100² m | 3"])]


def test_bold_texts_of_a_workbook_are_column_headings(tmp_path):
    book = xlwt.Workbook()
    sheet = book.add_sheet("Staff")
    for column, text in enumerate(["Name", "Town"]):
        sheet.write(0, column, text, xlwt.easyxf("font: bold on"))
    for column, text in enumerate(["Anna", "Orrin"]):
        sheet.write(1, column, text)
    book.save(str(tmp_path / "a.xls"))
    assert read(tmp_path / "a.xls") == [("Staff", ["Name | Town", "Name: Anna | Town: Orrin"])]


def test_formulas_that_were_never_computed_are_named(tmp_path):
    book = xlwt.Workbook()
    sheet = book.add_sheet("Sum")
    for number, value in enumerate([1, 2, xlwt.Formula("SUM(B1:B2)")]):
        sheet.write(number, 0, f"Part {number}")
        sheet.write(number, 1, value)
    book.save(str(tmp_path / "a.xls"))
    ((_, lines),) = read(tmp_path / "a.xls")
    assert lines[:3] == ["Part 0 | 1", "Part 1 | 2", "Part 2"]
    assert lines[3].startswith("Note: no formula of this workbook has a saved value")


def test_text_boxes_and_charts_on_sheets_are_named():
    def drawn(kind, text=None):
        parts = [(0x5D, struct.pack("<HHH", 0x15, 0x12, kind))]
        parts += [] if text is None else [(0x1B6, struct.pack("<10xHH", len(text), 0))]
        return b"".join(struct.pack("<HH", number, len(content)) + content for number, content in parts)

    note = drawn(0x19, "a comment, which is read")
    assert xls._left_out(drawn(6, "Box") + note + drawn(5) + drawn(30, "Box") + drawn(6, "") + drawn(8)) == (
        "2 text boxes and 1 chart not read; save it as XLSX to have their texts",
    )
    assert xls._left_out(note) == ()
