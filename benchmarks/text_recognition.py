"""Accuracy and time of the text recognition of scanned pages.

    python benchmarks/text_recognition.py FOLDER --pages 6

FOLDER contains PDF files with text. Pages with tables are rendered as pictures, clean and as a bad scan (rotated by 0.8
degrees, 200 dots per inch, noise, blur, JPEG quality 40), and recognized. The text of the file is the reference: an
amount is right if it is anywhere on the page; a row is right if one line contains the last word of its label and after
it its amounts.
"""

from __future__ import annotations

import argparse
import io
import random
import re
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pypdfium2
from PIL import Image, ImageFilter
from sra_pipelines.readers.pdf import page_text
from sra_pipelines.readers.scans.recognition import recognized_text, straightened

_AMOUNT = re.compile(r"\d[\d,]*(?:\.\d+)?")
_ROW = re.compile(r"(?P<label>[^\W\d_]{3,})\W*(?P<amounts>(?:[^\w]*\d[\d,]*(?:\.\d+)?\)?%?){2,})\s*$")
_LEAST_ROWS = 8


def rows_of(text: str) -> list[tuple[str, list[str]]]:
    """Return the last word of the label and the amounts of each row of a table."""
    matches = [_ROW.search(line) for line in text.split("\n")]
    return [(match["label"], _AMOUNT.findall(match["amounts"])) for match in matches if match]


def has_row(label: str, amounts: list[str], lines: list[str]) -> bool:
    """Return whether one line contains the label and after it the amounts, in order."""
    cells = "".join(rf".*?(?<![\d,.]){re.escape(amount)}(?!\d)" for amount in amounts)
    pattern = re.compile(rf"{re.escape(label)}{cells}", re.IGNORECASE)
    return any(pattern.search(line) for line in lines)


def clean_scan(page: pypdfium2.PdfPage) -> Image.Image:
    """Render a page at 300 dots per inch."""
    return page.render(scale=300 / 72).to_pil().convert("RGB")


def bad_scan(page: pypdfium2.PdfPage) -> Image.Image:
    """Render a page as a bad scan."""
    picture = page.render(scale=200 / 72).to_pil().convert("RGB")
    picture = picture.rotate(0.8, Image.Resampling.BICUBIC, fillcolor="white").filter(ImageFilter.GaussianBlur(0.8))
    noise = np.random.default_rng(1).normal(0, 12, (*picture.size[::-1], 3))
    picture = Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=40)
    picture = Image.open(file).convert("RGB")
    return picture.resize((round(picture.width * 1.5), round(picture.height * 1.5)), Image.Resampling.BICUBIC)


def main() -> None:
    """Measure both kinds of scans and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with PDF files")
    parser.add_argument("--pages", type=int, default=6, help="number of pages (default: 6)")
    parser.add_argument("--show-lost", action="store_true", help="print the rows that are not recognized")
    options = parser.parse_args()
    places = []
    for path in sorted(options.folder.rglob("*.pdf")):
        with pypdfium2.PdfDocument(path) as pdf:
            places += [(path, index) for index in range(len(pdf)) if len(rows_of(page_text(pdf[index]))) >= _LEAST_ROWS]
    chosen = random.Random(5).sample(places, min(options.pages, len(places)))  # noqa: S311
    print("| scan | pages | rows | amounts | processor seconds per page | seconds per page | straightening |")
    print("|---|---|---|---|---|---|---|")
    for name, scan in (("clean", clean_scan), ("bad", bad_scan)):
        counts: Counter[str] = Counter()
        spent = walls = turned = 0.0
        for path, index in chosen:
            with pypdfium2.PdfDocument(path) as pdf:
                reference, picture = page_text(pdf[index]), np.asarray(scan(pdf[index]))
            started = time.process_time()
            straightened(picture)
            turned += time.process_time() - started
            started, wall = time.process_time(), time.perf_counter()
            text, _ = recognized_text(picture)
            spent += time.process_time() - started
            walls += time.perf_counter() - wall
            lines, have = text.split("\n"), Counter(_AMOUNT.findall(text))
            for label, amounts in rows_of(reference):
                counts["rows"] += 1
                right = has_row(label, amounts, lines)
                counts["rows right"] += right
                if not right and options.show_lost:
                    print(f"lost: {path.name} page {index}: {label} {' '.join(amounts)}")
            wanted = Counter(_AMOUNT.findall(reference))
            counts["amounts"] += wanted.total()
            counts["amounts right"] += (wanted & have).total()
        n = len(chosen)
        print(
            f"| {name} | {n} | "
            f"{counts['rows right']} of {counts['rows']}: {counts['rows right'] / counts['rows']:.1%} | "
            f"{counts['amounts right']} of {counts['amounts']}: {counts['amounts right'] / counts['amounts']:.1%} | "
            f"{spent / n:.1f} | {walls / n:.1f} | {turned / n:.2f} |"
        )


if __name__ == "__main__":
    main()
