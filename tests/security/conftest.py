"""What the attacks share: a real server on this machine, and documents that it does not hold."""

from tests.pipelines.conftest import serving, word_embedding

__all__ = ["serving", "word_embedding"]
