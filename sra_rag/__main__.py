"""``python -m sra_rag`` is the command ``sra-rag``."""

from sra_rag.cli import run

if __name__ == "__main__":
    run()
