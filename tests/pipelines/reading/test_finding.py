import pytest
from sra_pipelines.readers import read_document
from sra_pipelines.reading.finding import LeftOut, find_documents
from sra_pipelines.samples import sample_documents, sample_questions
from sra_pipelines.values import DocumentError


def test_pages_and_their_text(make_pdf):
    document = read_document(make_pdf("lease.pdf", "The rent is 82,400.", None, "It ends on 3 May."))
    assert document.name == "lease"
    assert [page.index for page in document.pages] == [0, 1, 2]
    assert [page.label for page in document.pages] == ["1", "2", "3"]
    assert document.pages[0].text == "The rent is 82,400."
    assert document.empty_pages == ("2",)


def test_progress_is_reported(make_pdf):
    seen = []
    read_document(make_pdf("a.pdf", "one", "two"), on_page=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


def test_the_sample_documents_evidence_is_read():
    documents = {path.stem: read_document(path) for path in sample_documents()}
    for question in sample_questions():
        for evidence in question.evidence:
            page = " ".join(documents[question.document].pages[evidence.page].text.split())
            assert " ".join(evidence.text.split()) in page, question.id


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.pdf", b"", "empty.*Get a new copy"),
        ("word.pdf", b"PK\x03\x04 not a pdf at all", "not a PDF.*convert"),
        ("torn.pdf", b"%PDF-1.7\nnothing more", "damaged.*repair"),
    ],
)
def test_a_file_that_is_no_pdf_says_so(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DocumentError, match=says) as caught:
        read_document(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_encrypted_and_scanned(tmp_path, make_pdf):
    with pytest.raises(DocumentError, match="no such file"):
        read_document(tmp_path / "none.pdf")
    with pytest.raises(DocumentError, match="encrypted.*without a password"):
        read_document(make_pdf("locked.pdf", "secret", password="x"))
    with pytest.raises(DocumentError, match="scanned.*text recognition"):
        read_document(make_pdf("scan.pdf", None, None))


def test_folders_are_searched_and_files_named_once(tmp_path, make_pdf):
    first = make_pdf("b.pdf", "b")
    (tmp_path / "deep").mkdir()
    (tmp_path / "folder.pdf").mkdir()
    second = first.rename(tmp_path / "deep" / "b.pdf")
    third = make_pdf("a.pdf", "a")
    assert find_documents([tmp_path, third]) == [third, second]
    (tmp_path / "none").mkdir()
    with pytest.raises(DocumentError, match="contains no documents.*Word"):
        find_documents([tmp_path / "none"])


def test_what_is_not_read_is_named(tmp_path):
    folder, other = tmp_path / "docs", tmp_path / "real"
    for name in ("docs/a.txt", "docs/old.dwg", "docs/deep/film.mp4", "docs/.hidden.dwg", "real/only.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    (folder / "link").symlink_to(other)
    skipped = LeftOut()
    assert find_documents([folder], skipped) == [folder / "a.txt"]
    assert skipped.files == [folder / "deep" / "film.mp4", folder / "old.dwg"]
    assert skipped.linked_folders == [folder / "link"]
    assert skipped.types == {".mp4": 1, ".dwg": 1}
