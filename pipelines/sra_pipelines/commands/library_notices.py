"""Keep progress bars and notices of other libraries out of the output of a command."""

from __future__ import annotations

import logging

__all__ = ["quiet_libraries"]


def quiet_libraries() -> None:
    """Silence transformers, sentence-transformers, bm25s and the LlamaIndex PostgreSQL store in this process."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    for name in ("sentence_transformers", "bm25s", "llama_index.vector_stores.postgres"):
        logging.getLogger(name).setLevel(logging.ERROR)
