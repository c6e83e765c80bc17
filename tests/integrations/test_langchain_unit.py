"""LangChain's unit test suite for chat models. No model is loaded: the constructor must not need it."""

import pytest
from langchain_core.load import dumpd, load
from langchain_sra import ChatSRAHuggingFace, SRAHuggingFaceLLM
from langchain_tests.unit_tests import ChatModelUnitTests


class TestChatSRAHuggingFaceUnit(ChatModelUnitTests):
    @property
    def chat_model_class(self):
        return ChatSRAHuggingFace

    @property
    def chat_model_params(self):
        return {"model": "embedded", "sra": 0.2}

    @property
    def supports_json_mode(self):
        return True

    @property
    def supports_anthropic_inputs(self):
        return True

    @pytest.mark.xfail(
        raises=ValueError,
        strict=True,
        reason="langchain-core's allowed_objects='all' includes only the classes of its own partner packages",
    )
    def test_serdes(self, model, snapshot):
        super().test_serdes(model, snapshot)


@pytest.mark.parametrize("model_class", [ChatSRAHuggingFace, SRAHuggingFaceLLM])
def test_a_model_is_saved_and_loaded_if_its_class_is_allowed(model_class):
    model = model_class(sra=0.2, temperature=0.5, stop=["END"], generate_kwargs={"no_repeat_ngram_size": 3})
    loaded = load(dumpd(model), allowed_objects=[model_class], valid_namespaces=["langchain_sra"])
    assert loaded.asdict() == model.asdict()
    assert loaded.asdict()["sra"]["alpha"] == 0.2
