"""Text files as people have them: Unicode forms, encoded pictures, metadata, huge cells, and what is left out."""

import base64
import random
import time

import pytest
from sra_pipelines.readers import read_document
from sra_pipelines.readers.encoded_data import without_encoded_data
from sra_pipelines.reading.finding import LeftOut, document_names, find_documents
from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.values import DocumentError


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def data(n):
    return base64.b64encode(random.Random(5).randbytes(n)).decode()


# -- Unicode -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("účet", "u\u0301c\u030cet"),
        ("financial", "ﬁnancial"),
        ("500", "５００"),
        ("500 2", "500²"),
        ("termination", "ter\u00admination"),
    ],
)
def test_one_word_is_one_keyword_in_any_unicode_form(one, other):
    assert keywords([one]) == keywords([other])
    assert keywords([one])[0]


def test_text_is_composed_and_headings_stay_in_their_places(tmp_path):
    source = "Cafe\u0301 ter\u00admination\n\n# U\u0301c\u030cet\n\nRent is due."
    (page,) = read_document(write(tmp_path / "a.md", source)).pages
    assert page.text == "Café termination\n\n# Účet\n\nRent is due."
    [heading] = page.headings
    assert heading.text == "Účet"
    assert page.text[heading.start :].startswith("# Účet")


def test_names_are_composed(tmp_path):
    path = write(tmp_path / "u\u0301c\u030cet.txt", "Rent is due.")
    assert read_document(path).name == "účet"
    assert document_names([path]) == ["účet"]
    assert document_names([path, tmp_path / "účet.pdf"]) == ["účet.txt", "účet.pdf"]


# -- encoded pictures --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.md", "a.txt"])
def test_an_encoded_picture_is_no_text(tmp_path, name):
    source = (
        f"# Report\n\nRent is 82,400.\n\n![chart](data:image/png;base64,{data(600_000)})\n\n# Deposit\n\nIt is 500."
    )
    started = time.process_time()
    document = read_document(write(tmp_path / name, source))
    assert time.process_time() - started < 3
    (page,) = document.pages
    assert page.text.replace("\n", " ").split()[-4:] == ["Deposit", "It", "is", "500."]
    assert len(page.text) < 100
    assert document.notices == ("1 encoded picture or file is left out (800,022 characters of base64)",)
    if page.headings:
        assert page.text[page.headings[1].start :].startswith("# Deposit")


def test_base64_is_left_out_in_words_and_in_lines_and_other_long_words_stay():
    word = data(1500)
    lines = "\n".join(data(1500)[i : i + 76] for i in range(0, 2000, 76))
    text, (notice,) = without_encoded_data(f"Key: {word} end.\n{lines}\nNext.")
    assert text == "Key: [data left out] end.\n[data left out]\nNext."
    assert notice.startswith("2 encoded")
    for kept in ("a" * 5000, "thequickbrownfox" * 200, "ACGT" * 500, "12345678" * 400, '{"a":1,' * 500, data(300)):
        assert without_encoded_data(kept) == (kept, ())


def test_text_below_whole_lines_of_base64_is_no_part_of_them():
    lines = "\n".join(data(1800)[i : i + 76] for i in range(0, 76 * 20, 76))
    assert without_encoded_data(f"{lines}\nEnd 700\nSummary")[0] == "[data left out]\nEnd 700\nSummary"
    assert without_encoded_data(f"{lines}\nQUJDRA==\nEnd")[0] == "[data left out]\nEnd"


@pytest.mark.parametrize("piece", ["a", "A" * 70 + "\n", "data:", "data:x/y;z;", ("A" * 65) + " " * 65])
def test_leaving_out_takes_linear_time(piece):
    started = time.process_time()
    without_encoded_data(piece * (1_000_000 // len(piece)))
    assert time.process_time() - started < 3


# -- Markdown ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("front", "headings"),
    [
        ("---\ntitle: Lease\nrent: 82400\n---\n", ["Terms"]),
        ("---\ntitle: Lease\ntags:\n  - rent\n- flat\n# remark\n\nmore: |\n  text\n...\n", ["Terms"]),
        ('+++\ntitle = "Lease"\n\n[params]\nrent = 5\n+++\n', ["Terms"]),
        ("---\n\nSome text\n---\n", ["Some text", "Terms"]),
        ("---\n# Scope\ntext\n\n---\n", ["Scope", "Terms"]),
        ("Title: x\n---\n", ["Title: x", "Terms"]),
    ],
)
def test_metadata_at_the_start_of_markdown_is_no_heading(tmp_path, front, headings):
    source = f"{front}\n# Terms\n\nRent is due."
    (page,) = read_document(write(tmp_path / "a.md", source)).pages
    assert page.text == source
    assert [heading.text for heading in page.headings] == headings
    assert source[page.headings[-1].start :].startswith("# Terms")


# -- CSV ---------------------------------------------------------------------------------------------------------------


def test_a_huge_cell_is_read_whole(tmp_path):
    text = "word " * 60_000
    (page,) = read_document(write(tmp_path / "a.csv", f'Id,Text\n1,"{text}"\n2,short\n')).pages
    lines = page.text.split("\n")
    assert all(line.startswith("Id: 1 | Text") for line in lines[1:-1])  # cut into parts that repeat the label
    assert page.text.count("word") == 60_000
    assert page.text.endswith("Id: 2 | Text: short")


# -- what is left out --------------------------------------------------------------------------------------------------


def test_what_a_folder_holds_and_is_not_read_is_named(tmp_path):
    docs, real = tmp_path / "docs", tmp_path / "real"
    docs.mkdir()
    real.mkdir()
    lease = write(docs / "lease.txt", "Rent")
    for name in ("old.xyz", "slides.abc", "~$lease.docx", ".hidden"):
        write(docs / name, "x")
    write(real / "only.txt", "y")
    (docs / "link").symlink_to(real, target_is_directory=True)
    left_out = LeftOut()
    assert find_documents([docs], left_out) == [lease]
    assert str(left_out) == "old.xyz, slides.abc (unsupported type), link (a link to a folder: give the folder itself)"
    assert left_out.types == {".xyz": 1, ".abc": 1}
    lease.unlink()
    with pytest.raises(DocumentError, match=r"no documents.*Left out: old.xyz, slides.abc"):
        find_documents([docs])
