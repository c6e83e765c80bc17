"""Change bytes as fuzzers do: noise, extreme numbers, repeated and exchanged parts; also within archives."""

import gzip
import io
import re
import zipfile
from pathlib import Path

from tests.pipelines.server.test_server_uploads import damaged

CORPUS = Path(__file__).parent / "corpus"
MOST_BYTES = 4_000_000  # of one changed file
NUMBERS = (b"0", b"-1", b"1", b"65536", b"2147483647", b"4294967295", b"99999999999999999999", b"1e308", b"NaN", b"")
MARKS = (
    b"<", b">", b"/>", b"\"", b"&", b"\x00", b"\xff\xfe", b"\n", b"\r", b"\x0c", b"|", b"&#x10FFFF;", b"&#0;",
    b"<!DOCTYPE a [<!ENTITY b \"cc\">]>&b;", b"<![CDATA[", b"<!--", b"obj", b"endobj", b"stream", b"]]>",
    b"\xed\xa0\x80", b"\xe2\x80\xae", b"--", b"Content-Type: multipart/mixed; boundary=a\n\n--a\n",
)  # fmt: skip


def corpus():
    """Return the stored files as (name, bytes); those with the suffix ``.gz`` are unpacked."""
    files = []
    for path in sorted(CORPUS.iterdir()):
        content = path.read_bytes()
        files.append((path.stem, gzip.decompress(content)) if path.suffix == ".gz" else (path.name, content))
    return files


def extreme_numbers(content, rng, others):
    """Replace some of the numbers that are written in digits."""
    places = [match.span() for match in re.finditer(rb"\d+", content)]
    for start, end in sorted(rng.sample(places, min(len(places), rng.choice((1, 2, 8)))), reverse=True):
        content = content[:start] + rng.choice(NUMBERS) + content[end:]
    return content


def repeated(content, rng, others):
    """Repeat a stretch, up to thousands of times: nested elements, long rows, large tables."""
    start = rng.randrange(len(content))
    piece = content[start : start + rng.randrange(1, 200)]
    times = min(rng.choice((2, 2, 30, 30, 300, 1_000, 20_000)), (MOST_BYTES - len(content)) // len(piece))
    return content[:start] + piece * max(1, times) + content[start:]


def marked(content, rng, others):
    """Insert marks that mean something in one of the formats."""
    for _ in range(rng.choice((1, 3, 20))):
        place = rng.randrange(len(content) + 1)
        content = content[:place] + rng.choice(MARKS) + content[place:]
    return content


def without_a_piece(content, rng, others):
    """Leave out a stretch."""
    start = rng.randrange(len(content))
    return content[:start] + content[start + rng.randrange(1, 100) :]


def exchanged(content, rng, others):
    """Take the rest from another file."""
    other = rng.choice(others)
    return content[: rng.randrange(1, len(content))] + other[rng.randrange(len(other)) :]


def noise(content, rng, others):
    return damaged(content, rng)


def within_an_archive(content, rng, others):
    """Change one part of an archive, or its name, or store it twice; the checksums fit again."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = [(info.filename, archive.read(info)) for info in archive.infolist()]
    number = rng.randrange(len(parts))
    name, part = parts[number]
    match rng.randrange(12):
        case 0:
            del parts[number]
        case 1:
            parts.append((name, part))
        case 2:
            parts[number] = (rng.choice(("../../" + name, "/" + name, name.upper(), "mimetype", "a\x00b")), part)
        case 3:
            parts[number] = (name, rng.choice(parts)[1])
        case _:
            parts[number] = (name, mutated(part, rng, [data for _, data in parts if data]) if part else part)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts:
            archive.writestr(name, part)
    return out.getvalue()


def mutated(content, rng, others):
    """Change some bytes.

    Parameters
    ----------
    content
        The bytes, at least one.
    rng
        Source of random numbers.
    others
        Other contents, from which pieces are taken.
    """
    if content.startswith(b"PK\x03\x04") and rng.random() < 0.8:
        return within_an_archive(content, rng, others)
    kinds = (noise, extreme_numbers, repeated, marked, without_a_piece, exchanged)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if len(content) > 2:
            content = rng.choice(kinds)(content, rng, others)
    return content
