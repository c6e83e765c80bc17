import pytest
import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from sra_rag.attention.reference import scaled_reattention

_settings = {}


def _reference_attention(module, query, key, value, attention_mask, scaling=None, softcap=None, **kwargs):
    output = scaled_reattention(
        query, key, value, attention_mask=attention_mask[..., : key.shape[2]], scale=scaling, softcap=softcap,
        **_settings,
    ).output  # fmt: skip
    return output.transpose(1, 2), None


AttentionInterface.register("sra_reference", _reference_attention)
AttentionMaskInterface.register("sra_reference", eager_mask)


@pytest.fixture
def reference_settings():
    """Settings of the attention named "sra_reference": whole models that run on the reference."""
    _settings.clear()
    yield _settings
    _settings.clear()


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(autouse=True)
def on_the_device_asked_for(request):
    """Make tensors and models of tests marked so where ``--device`` says."""
    name = request.config.getoption("--device")
    if name == "cpu" or request.node.get_closest_marker("on_device") is None:
        yield
    else:
        with torch.device(name):
            yield
