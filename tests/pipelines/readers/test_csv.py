"""CSV files: which separator and quotation mark they have, also where that is hard to see, in a short time."""

import csv
import io
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sra_pipelines.readers import read_document
from sra_pipelines.readers.csv_dialect import dialect_of

TEXTS = st.one_of(
    st.integers(-10_000, 99_999).map("{:,}".format),
    st.floats(0, 1000).map(lambda value: f"{value:.2f}".replace(".", ",")),
    st.sampled_from(["", "Ferry", 'say "hi"', '10"', "O'Brien", "'tis", "Net, of tax", "a; b", "two\nlines", "x|y"]),
    st.text("abc ,;\"'\n|", max_size=12).map(str.strip),
)


@st.composite
def tables(draw):
    """Draw a table, its separator and its quoting; each row has a label, as nothing else shows the separator."""
    width, separator = draw(st.integers(2, 6)), draw(st.sampled_from(",;\t|"))
    rows = draw(st.lists(st.lists(TEXTS, min_size=width, max_size=width), min_size=3, max_size=12))
    return [["Name", *row] for row in rows], separator, draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))


@settings(max_examples=200, deadline=None)
@given(tables())
def test_quoted_tables_are_read_as_they_were_written(table):
    rows, separator, quoting = table
    file = io.StringIO()
    csv.writer(file, delimiter=separator, quoting=quoting, lineterminator="\n").writerows(rows)
    dialect = dialect_of(file.getvalue(), ",")
    assert (dialect.delimiter, dialect.quotechar) == (separator, '"')


@pytest.mark.parametrize(
    "text",
    ['"\n', '",', ',"a', '\n"a', 'a\n', ',""', ',"""', '|' * 40 + '"x"', ' \n,;'],
    ids=repr,
)  # fmt: skip
def test_no_sample_takes_long(text):
    start = time.process_time()
    dialect_of(text * (20_000 // len(text)), ",")
    assert time.process_time() - start < 1  # csv.Sniffer takes minutes for the first, seconds for three others


def test_quotation_marks_are_doubled_also_where_the_first_20_000_characters_have_none(tmp_path):
    rows = [f'"Item {row}","{row},000"' for row in range(1_500)]
    (tmp_path / "a.csv").write_text("\n".join(["Name,Price", *rows, '"Pipe, 3"" wide","7,500"']), encoding="utf-8")
    last = read_document(tmp_path / "a.csv").pages[-1].text.split("\n")[-1]
    assert last == 'Name: Pipe, 3" wide | Price: 7,500'


@pytest.mark.parametrize(("first", "mark"), [("sep=;", ";"), ('"sep=|"', "|"), ("SEP=\t", "\t")])
def test_the_separator_that_a_first_line_states_is_taken_and_the_line_is_no_row(tmp_path, first, mark):
    rows = [["Item", "Amount", "Date"], ["Rent", "500,50", "1.3.2024"], ["Tax", "21,00", "2.3.2024"]]
    (tmp_path / "a.csv").write_text("\n".join([first, *(mark.join(row) for row in rows)]), encoding="utf-8")
    assert read_document(tmp_path / "a.csv").pages[0].text.split("\n") == [
        "Item | Amount | Date",
        "Item: Rent | Amount: 500,50 | Date: 1.3.2024",
        "Item: Tax | Amount: 21,00 | Date: 2.3.2024",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Name;2022;2023\nRent;1,5;2,5\nHeating;3,5;4,5\n", (";", '"', False)),
        ('Name, Note\n"a, b", "c, d"\n"e", "f"\n', (",", '"', True)),
        ("'Name','Note'\n'a, b','it''s'\n", (",", "'", False)),
        ("Name\nRent\n", ("\t", '"', False)),
        ("Item\tNote, with comma\tQty\nRent\tdue, paid\t5\n", ("\t", '"', False)),
        ("Item, Note|Qty, Unit|Due|Id\nRent, 1|2, 3|4|5\n", ("|", '"', False)),
        ('Name;Note\n1;the "new" rent\n2;the rent, reduced\n', (";", '"', False)),
    ],
)
def test_the_separator(text, expected):
    dialect = dialect_of(text, "\t")
    assert (dialect.delimiter, dialect.quotechar, dialect.skipinitialspace) == expected
