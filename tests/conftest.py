"""Settings of the whole test run: offline, CPU, deterministic."""

import os
import time

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Beside other tests, workers that give way to all would hardly run.
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray wants it so

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

import sra_rag
from sra_rag.attention.compiling import decoding_kernel
from sra_rag.models.embedded import embedded_model_folder
from sra_rag.models.loading import LoadedModel


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="where tests marked on_device compute: cpu (default) or cuda")
    parser.addoption(
        "--counts", choices=("all", "few"), default="all",
        help="few: fewer repetitions of what takes long and rarely breaks, and none of the tests marked long",
    )  # fmt: skip
    parser.addoption(
        "--attack", action="append", default=[], metavar="NAME=COUNT",
        help="how often an attack of tests/attacks is repeated, such as kills=5; may be given several times",
    )  # fmt: skip


def pytest_collection_modifyitems(config, items):
    """Leave out what takes long where few repetitions are asked for."""
    if config.getoption("--counts") == "few":
        left_out = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if not item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def count(request):
    """Return a function that chooses between a full count and the smaller one of ``--counts few``."""
    few = request.config.getoption("--counts") == "few"
    return lambda whole, smaller: smaller if few else whole


@pytest.fixture(scope="session")
def attack_count(request):
    """Return a function that gives the number of repetitions of an attack: its usual one, or that of ``--attack``."""
    given = dict(text.split("=", 1) for text in request.config.getoption("--attack"))

    def counted(name, usual):
        return type(usual)(given.get(name, usual))

    return counted


@pytest.fixture(autouse=True)
def seeded():
    """Give each test the same random numbers, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def kernel_for_decoding():
    """Wait for the compiler, so that no result depends on when it is done."""
    decoding_kernel(wait=True)


@pytest.fixture(scope="session")
def embedded():
    """The real embedded model, in float32 on any machine."""
    return sra_rag.load_model("embedded", dtype="float32")


@pytest.fixture(scope="session")
def embedding():
    """The real embedding model."""
    from sra_pipelines.index.embedding import load_embedding

    return load_embedding()


@pytest.fixture
def engine(embedded):
    """An engine of its own, with nothing cached, on the shared model."""
    return sra_rag.Engine(embedded, options=sra_rag.SamplingOptions(max_new_tokens=10))


@pytest.fixture(scope="session")
def tiny():
    """A two-layer model with random weights and the embedded model's tokenizer, chat template and window.

    For tests of what is done with a model's output. It answers in a hundredth of the embedded model's time, and what it
    answers depends on every token before; what an answer should say is tested with ``embedded``, in each folder's
    golden file.
    """
    tokenizer = AutoTokenizer.from_pretrained(embedded_model_folder())
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=8192, tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sra", dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(8)  # attention far from uniform, so that sharpening shows
    return LoadedModel(model, tokenizer, "tiny")


@pytest.fixture
def slow_steps(tiny):
    """Each pass of the tiny model takes 20 ms, so that there is time to do something else, or to go away."""
    handle = tiny.model.register_forward_pre_hook(lambda *_: time.sleep(0.02))
    yield
    handle.remove()


@pytest.fixture
def tiny_engine(tiny):
    """An engine of its own, with nothing cached, on the shared tiny model."""
    return sra_rag.Engine(tiny, options=sra_rag.SamplingOptions(max_new_tokens=10))
