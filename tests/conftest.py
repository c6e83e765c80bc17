"""Settings of the whole test run: offline, CPU, deterministic."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Beside other tests, workers that give way to all would hardly run.
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray wants it so

import pytest
import torch

import sra_rag


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="where tests marked on_device compute: cpu (default) or cuda")


@pytest.fixture(autouse=True)
def seeded():
    """Give each test the same random numbers, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def embedded():
    """The real embedded model, in float32 on any machine."""
    return sra_rag.load_model("embedded", dtype="float32")


@pytest.fixture
def engine(embedded):
    """An engine of its own, with nothing cached, on the shared model."""
    return sra_rag.Engine(embedded, options=sra_rag.SamplingOptions(max_new_tokens=10))
