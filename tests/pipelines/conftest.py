import pytest
from fpdf import FPDF
from sra_pipelines.embedding import load_embedding


@pytest.fixture(scope="session")
def embedding():
    """The real embedding model."""
    return load_embedding()


@pytest.fixture
def make_pdf(tmp_path):
    """Write a PDF with the given pages; a page of None is left without text."""

    def make(name, *pages, password=None):
        pdf = FPDF()
        pdf.set_font("Helvetica", size=12)
        for text in pages:
            pdf.add_page()
            if text is None:
                pdf.rect(20, 20, 100, 100)  # something to see, nothing to read
            else:
                pdf.multi_cell(0, 6, text)
        if password:
            pdf.set_encryption(owner_password=password, user_password=password)
        path = tmp_path / name
        pdf.output(str(path))
        return path

    return make
