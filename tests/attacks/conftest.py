"""Longer attacks, run by ``make test-attack``; ``--attack NAME=COUNT`` changes how often each is repeated."""

from tests.pipelines.conftest import make_pdf, serving, word_embedding

__all__ = ["make_pdf", "serving", "word_embedding"]
