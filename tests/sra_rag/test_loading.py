import json

import pytest
import torch
from safetensors.torch import load_file, save_file
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


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("num_hidden_layers", 2**40, "1 to 10,000 are allowed"),
        ("num_hidden_layers", 1, "layers.1.* of layers that its configuration does not have"),
        ("num_hidden_layers", 4, "layers.3.* missing from its files"),
        ("vocab_size", 512, "shapes of its weights do not fit"),
        ("max_position_embeddings", -1, "max_position_embeddings=-1"),
        ("rms_norm_eps", -1.0, "rms_norm_eps=-1.0"),
        ("rms_norm_eps", 2.0**40, "0.1 are allowed"),
        ("rope_parameters", {"rope_type": "default", "rope_theta": -1.0}, "rope_theta=-1.0"),
    ],
)
def test_a_configuration_that_does_not_fit_the_weights_is_refused(tmp_path, field, value, says):
    tiny_model("llama", "eager").save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(ModelLoadError, match=says):
        load_model(tmp_path, tokenizer=embedded_model_folder())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"layers.1.mlp", b"layers.7.mlp", r"missing from its files; .*layers\.7.* of layers that"),
        (b"model.norm.weight", b"model.norn.weight", r"model\.norm\.weight is missing from its files"),
        (b'"F32"', b'"F16"', "could not be loaded"),
    ],
)
def test_weights_that_are_missing_are_not_replaced_by_random_numbers(tmp_path, old, new, says):
    tiny_model("llama", "eager").save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(ModelLoadError, match=says):
        load_model(tmp_path, tokenizer=embedded_model_folder())


def test_truncated_weights_are_refused(tmp_path):
    tiny_model("llama", "eager").save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelLoadError, match="could not be loaded"):
        load_model(tmp_path, tokenizer=embedded_model_folder())


def test_weights_that_only_other_programs_need_are_allowed(folder):
    path = folder / "model.safetensors"
    tensors = load_file(path) | {"vision_tower.layers.0.weight": torch.zeros(2), "optimizer.step": torch.zeros(1)}
    save_file(tensors, path, metadata={"format": "pt"})
    assert load_model(folder, tokenizer=embedded_model_folder()).context_window == 256
