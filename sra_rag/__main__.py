"""``python -m sra_rag`` is the command ``sra-rag``."""

from sra_rag.cli import main

if __name__ == "__main__":
    main()
