"""Pictures of PDF pages: the boxes are where the quote is."""

import io

import pypdfium2
import pytest
from PIL import Image
from sra_pipelines.readers.pdf import read
from sra_pipelines.readers.pdf_pictures import draw_page
from sra_pipelines.values import DocumentError

LINES = [f"Line {n} of the page mentions the number {n * 111}." for n in range(1, 30)]


def inside(path, page_index, box, size):
    """Return the text of a PDF file within a box of the picture."""
    with pypdfium2.PdfDocument(path) as pdf:
        page = pdf[page_index]
        bitmap = page.render(scale=size / max(page.get_size()))
        convert = bitmap.get_posconv(page)
        (x1, y1), (x2, y2) = (
            convert.to_page(round(box[0]), round(box[1])),
            convert.to_page(round(box[2]), round(box[3])),
        )
        text = page.get_textpage()
        return text.get_text_bounded(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)).strip()


def drawn(path, quote, page_index=0, at=0):
    text = read(path)[page_index].text
    start = text.index(quote, at)
    return draw_page(path, page_index, quote, len("".join(text[:start].split())))


def test_the_boxes_contain_the_quote_and_nothing_else(make_pdf):
    path = make_pdf("a.pdf", "first page", "\n".join(LINES))
    quote = "\n".join(LINES[4:6])
    picture = drawn(path, quote, page_index=1)
    assert Image.open(io.BytesIO(picture.png)).size == (picture.width, picture.height)
    size = max(picture.width, picture.height)
    assert [inside(path, 1, box, size) for box in picture.boxes] == LINES[4:6]


def test_a_quote_within_a_line_and_the_right_one_of_several(make_pdf):
    path = make_pdf("a.pdf", "\n".join(["The fee is 5 crowns."] * 3))
    text = read(path)[0].text
    tops = []
    for number in range(3):
        at = [i for i in range(len(text)) if text.startswith("5 crowns", i)][number]
        [box] = drawn(path, "5 crowns", at=at).boxes
        tops.append(box[1])
        assert inside(path, 0, box, 2 * 842) == "5 crowns"
    assert tops[0] < tops[1] < tops[2]


def test_a_rotated_page(make_pdf, tmp_path):
    plain = make_pdf("a.pdf", "\n".join(LINES))
    with pypdfium2.PdfDocument(plain) as pdf:
        pdf[0].set_rotation(90)
        pdf.save(tmp_path / "rotated.pdf")
    picture = draw_page(tmp_path / "rotated.pdf", 0, LINES[7], len("".join("".join(LINES[:7]).split())))
    assert picture.width > picture.height
    [box] = picture.boxes
    assert box[3] - box[1] > box[2] - box[0], "the line runs down the picture"
    assert inside(tmp_path / "rotated.pdf", 0, box, max(picture.width, picture.height)) == LINES[7]


def test_a_quote_that_is_not_there_has_no_boxes(make_pdf):
    path = make_pdf("a.pdf", "A page.")
    assert draw_page(path, 0, "something else").boxes == ()
    assert draw_page(path, 0).boxes == ()


def test_a_huge_page_is_drawn_small(tmp_path):
    pdf = pypdfium2.PdfDocument.new()
    pdf.new_page(14_400, 7_200)
    pdf.save(tmp_path / "huge.pdf")
    picture = draw_page(tmp_path / "huge.pdf", 0)
    assert (picture.width, picture.height) == (2400, 1200)


def test_what_cannot_be_drawn_is_refused_with_a_reason(make_pdf, tmp_path):
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing")
    for path, page, reason in [
        (tmp_path / "broken.pdf", 0, "cannot be drawn"), (make_pdf("a.pdf", "one"), 5, "does not exist"),
        (make_pdf("locked.pdf", "x", password="secret"), 0, "cannot be drawn"),
    ]:  # fmt: skip
        with pytest.raises(DocumentError, match=reason):
            draw_page(path, page)
