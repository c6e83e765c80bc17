"""Loading the embedding model: what cannot be loaded is one error that says what to give instead."""

import numpy as np
import pytest
import torch
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.embedding_identity import EmbeddingIdentity

import sra_rag.models.loading as loading
from sra_rag.errors import ModelLoadError

TEXTS = ["The lease of the warehouse costs 82,400 crowns a year.", "Net income fell by 3.6%. " * 30, "Hafen"]


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelLoadError, match=r"could not be loaded: .+\. Give 'embedded'"):
        load_embedding(str(tmp_path))


def test_a_model_that_fails_without_a_message_is_one_error(monkeypatch):
    def fail(*_, **__):
        raise OSError

    monkeypatch.setattr("llama_index.embeddings.huggingface.HuggingFaceEmbedding", fail)
    with pytest.raises(ModelLoadError, match=r"'embedded' could not be loaded: OSError\. Give"):
        load_embedding()


def test_the_embedded_model_computes_in_the_faster_precision_with_the_same_vectors(monkeypatch):
    vectors, identities = [], []
    for multiplies, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(loading, "cpu_multiplies_bfloat16", lambda multiplies=multiplies: multiplies)
        model = load_embedding()
        assert model._model.dtype == dtype
        identities.append(EmbeddingIdentity.of(model))
        vectors.append(np.array(model.get_text_embedding_batch(TEXTS)))
    own, exact = vectors
    assert ((own * exact).sum(axis=1) / np.linalg.norm(own, axis=1) > 0.9998).all()
    for one, other in (identities, identities[::-1]):
        one.require_same(other, "an index of the other precision")  # raises for another model
