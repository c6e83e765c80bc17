"""Pictures for the page are drawn in a process of their own: what happens to it does not happen to the server."""

import asyncio
import os

import pytest
from sra_pipelines.index.catalog import IndexedDocument
from sra_pipelines.readers.limits import ReadingLimits
from sra_pipelines.reading.processes import file_hash
from sra_pipelines.server.page.pictures import PagePictures
from sra_pipelines.values import DocumentError


def indexed(path):
    return IndexedDocument(path.stem, str(path), file_hash(path), path.stat().st_size, 1, 1, "")


@pytest.fixture
def pictures():
    pictures = PagePictures(ReadingLimits(max_seconds=20))
    yield pictures
    pictures.close()


async def test_a_picture_is_drawn_once_and_kept(make_pdf, pictures):
    about = indexed(make_pdf("a.pdf", "The fee is 5 crowns."))
    pictures.warm_up()
    assert pictures.kept(about, 0) is None
    first = await pictures.draw(about, 0, "5 crowns")
    assert first.boxes
    assert await pictures.draw(about, 0, "5 crowns") is first
    assert pictures.kept(about, 0) is first


async def test_a_file_that_is_missing_or_was_changed_is_not_drawn(make_pdf, pictures):
    path = make_pdf("a.pdf", "The fee is 5 crowns.")
    about = indexed(path)
    path.write_bytes(make_pdf("b.pdf", "The fee is 6 crowns.").read_bytes())
    with pytest.raises(DocumentError, match="was changed since it was indexed"):
        await pictures.draw(about, 0)
    path.unlink()
    with pytest.raises(DocumentError, match="no longer there"):
        await pictures.draw(about, 0)


async def test_a_process_that_dies_is_replaced(make_pdf, pictures):
    about = indexed(make_pdf("a.pdf", "The fee is 5 crowns."))
    pool = pictures._started()
    with pytest.raises(Exception, match="terminated abruptly"):
        await asyncio.wrap_future(pool.submit(os._exit, 3))
    with pytest.raises(DocumentError, match="crashed, or took longer than 20 s"):
        await pictures.draw(about, 0)
    assert (await pictures.draw(about, 0)).png


async def test_drawing_has_a_time_limit(make_pdf):
    hurried = PagePictures(ReadingLimits(max_seconds=0.001))
    with pytest.raises(DocumentError, match=r"longer than 0.001 s. Read its text"):
        await hurried.draw(indexed(make_pdf("a.pdf", *["The fee is 5 crowns."] * 20)), 0)
    hurried.close()
