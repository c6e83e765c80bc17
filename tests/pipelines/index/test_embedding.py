"""Loading the embedding model: what cannot be loaded is one error that says what to give instead."""

import pytest
from sra_pipelines.index.embedding import load_embedding

from sra_rag.errors import ModelLoadError


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelLoadError, match=r"could not be loaded: .+\. Give 'embedded'"):
        load_embedding(str(tmp_path))


def test_a_model_that_fails_without_a_message_is_one_error(monkeypatch):
    def fail(*_, **__):
        raise OSError

    monkeypatch.setattr("llama_index.embeddings.huggingface.HuggingFaceEmbedding", fail)
    with pytest.raises(ModelLoadError, match=r"'embedded' could not be loaded: OSError\. Give"):
        load_embedding()
