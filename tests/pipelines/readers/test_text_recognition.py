"""Scanned pages and pictures: recognized, straightened, in rows, and marked as recognized."""

import subprocess
import sys

import pypdfium2
import pytest
from fpdf import FPDF
from sra_pipelines.readers import read_document
from sra_pipelines.readers.scans import recognition, scanned_pages
from sra_pipelines.reading.splitting import split_document
from sra_pipelines.values import DocumentError

from sra_rag.errors import ConfigError

pytest.importorskip("rapidocr")
Image = pytest.importorskip("PIL.Image")

ROWS = [("Revenue", "82,400", "79,100"), ("Costs", "61,250", "58,930"), ("Margin", "21,150", "20,170")]


def scan(folder, degrees=0.0):
    """Return the picture of a page with a table."""
    pdf = FPDF()
    pdf.set_font("Helvetica", size=12)
    pdf.add_page()
    for row, cells in enumerate(ROWS):
        for column, cell in enumerate(cells):
            pdf.text(25 + 60 * column, 30 + 7 * row, cell)
    pdf.output(str(folder / "text.pdf"))
    with pypdfium2.PdfDocument(folder / "text.pdf") as document:
        page = document[0].render(scale=300 / 72).to_pil().convert("RGB").crop((200, 250, 2000, 620))
    return page.rotate(degrees, Image.Resampling.BICUBIC, fillcolor="white")


def scanned_pdf(folder, degrees, n_pages=1):
    pages = [scan(folder, degrees) for _ in range(n_pages)]
    pages[0].save(folder / "scan.pdf", save_all=True, append_images=pages[1:], resolution=300)
    return folder / "scan.pdf"


@pytest.mark.parametrize("degrees", [0.8, pytest.param(-2.0, marks=pytest.mark.slow)])
def test_rows_of_a_scanned_pdf_are_whole_and_say_that_they_are_recognized(tmp_path, degrees):
    document = read_document(scanned_pdf(tmp_path, degrees))
    (page,) = document.pages
    assert page.text.split("\n") == [" ".join(row) for row in ROWS]
    assert page.label == "1 (recognized text)"
    assert document.notices == (recognition.RECOGNIZED,)
    assert {passage.page_label for passage in split_document(document)} == {"1 (recognized text)"}


def test_the_skew_of_a_page_is_measured(tmp_path):
    import numpy as np

    for degrees in (0.0, 0.8, -2.0):
        assert recognition.skew_of(np.asarray(scan(tmp_path, degrees))) == pytest.approx(-degrees, abs=0.15)


def test_pictures_are_read_page_by_page(tmp_path):
    picture = scan(tmp_path)
    blank = Image.new("RGB", (600, 300), "white")
    picture.save(tmp_path / "a.tiff", save_all=True, append_images=[blank], dpi=(300, 300))
    first, second = read_document(tmp_path / "a.tiff").pages
    assert first.text.split("\n")[0] == "Revenue 82,400 79,100"
    assert (first.label, second.label, second.text) == ("1 (recognized text)", "2", "")
    blank.save(tmp_path / "logo.png")
    assert read_document(tmp_path / "logo.png").empty_pages == ("1",)


def test_a_damaged_picture_says_so(tmp_path):
    scan(tmp_path).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(DocumentError, match="damaged"):
        read_document(tmp_path / "a.png")


def test_pages_beyond_the_limit_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("SRA_RAG_OCR_PAGES", "1")
    document = read_document(scanned_pdf(tmp_path, 0.0, n_pages=2))
    assert [bool(page.text) for page in document.pages] == [True, False]
    assert document.notices[1] == "a scanned page beyond the 1 that are recognized (page 2)"
    monkeypatch.setenv("SRA_RAG_OCR_PAGES", "many")
    with pytest.raises(ConfigError, match="SRA_RAG_OCR_PAGES='many'"):
        recognition.most_pages()


def test_without_the_extra_a_scan_is_refused_with_its_name(tmp_path, monkeypatch):
    path = scanned_pdf(tmp_path, 0.0)
    monkeypatch.setattr(scanned_pages, "is_installed", lambda: False)
    with pytest.raises(DocumentError, match=r"scanned.*pip install 'sra-rag\[ocr\]'"):
        read_document(path)


def test_recognition_is_not_imported_for_other_documents():
    code = "import sys, sra_pipelines.readers.pdf; print(*sorted({'rapidocr', 'cv2', 'PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
