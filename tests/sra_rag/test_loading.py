import json

import pytest
import torch
from transformers import AutoModelForCausalLM

from sra_rag import SRAConfig, load_model
from sra_rag.errors import ConfigError, MissingExtraError, ModelLoadError
from sra_rag.models.embedded import embedded_model_folder
from tests.sra_rag.tiny_models import CONFIGS, tiny_model, tokens


@pytest.fixture
def folder(tmp_path):
    """A local folder with a tiny model and the embedded model's tokenizer."""
    tiny_model("qwen3", "sdpa").save_pretrained(tmp_path)
    return tmp_path


def test_a_local_folder(folder):
    loaded = load_model(folder, tokenizer=embedded_model_folder(), sra={"alpha": 0.1, "rows": "after_context"})
    assert loaded.model.config._attn_implementation == "sra"
    assert loaded.sra == SRAConfig(alpha=0.1, rows="after_context")
    assert loaded.context_window == 256
    assert not loaded.model.training
    expected = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa", dtype=loaded.model.dtype)
    assert torch.equal(loaded.model(tokens()).logits, expected(tokens()).logits)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_registered_name_works_with_transformers_own_loader(name, tmp_path):
    tiny_model(name, "eager").save_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="sra")
    assert torch.isfinite(model(tokens()).logits).all()


def test_weights_in_a_pickle_are_never_read(folder):
    class Trap:
        def __reduce__(self):
            return pytest.fail, ("a pickle was loaded",)

    for file in folder.glob("*.safetensors"):
        file.unlink()
    torch.save({"weight": Trap()}, folder / "pytorch_model.bin")
    with pytest.raises(ModelLoadError, match="safetensors"):
        load_model(folder, tokenizer=embedded_model_folder())


@pytest.mark.parametrize(
    ("name", "says"),
    [("no-such-owner/no-such-model", "on the hub"), ("/no/such/folder", "folder"), ("missing.gguf", "no file")],
)
def test_a_model_that_is_not_there(name, says):
    with pytest.raises(ModelLoadError, match=says) as caught:
        load_model(name)
    assert name in str(caught.value)
    assert isinstance(caught.value, OSError)


def test_bad_settings_are_refused_at_loading(folder):
    with pytest.raises(ConfigError, match="layers"):
        load_model(folder, tokenizer=embedded_model_folder(), sra={"layers": [99]})
    with pytest.raises(ConfigError, match="float32"):
        load_model(folder, dtype="float12")
    with pytest.raises(ConfigError, match="4bit"):
        load_model(folder, quantization="2bit")


def test_quantization_without_its_extra_names_the_command(folder, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "bitsandbytes" else found(name, *a)
    )
    with pytest.raises(MissingExtraError, match=r"pip install 'sra-rag\[quantization\]'") as caught:
        load_model(folder, quantization="4bit")
    assert isinstance(caught.value, ImportError)


def test_dtype_is_what_was_asked_for(folder):
    for name in ("float32", "bfloat16", "float16"):
        loaded = load_model(folder, tokenizer=embedded_model_folder(), dtype=name)
        assert loaded.model.dtype == getattr(torch, name)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attention_dropout", "x"),
        ("num_attention_heads", 0),
        ("hidden_size", -1),
        ("vocab_size", []),
        ("rope_parameters", 7),
    ],
)
def test_a_manipulated_configuration_raises_our_own_error(tmp_path, field, value):
    tiny_model("llama", "eager").save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(ModelLoadError, match="could not be loaded"):
        load_model(tmp_path, tokenizer=embedded_model_folder())
