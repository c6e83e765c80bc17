"""Models and an index for the tests of the integrations."""

import copy

import pytest
import torch
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import Document

from sra_rag import Engine, SamplingOptions
from sra_rag.models.loading import LoadedModel

FACTS = [
    "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year and ends on 3 May 2031.",
    "Ferry tickets are sold at the kiosk beside the old lighthouse from seven in the morning.",
]

# Similar to the templates of Hermes and Qwen, written for these tests.
TOOL_TEMPLATE = """\
{%- if tools %}<|im_start|>system
Tools:
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}<|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": {{ call.function.name | tojson }}, "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


@pytest.fixture(scope="session")
def with_tools(tiny):
    """The tiny model with a chat template that supports tools."""
    tokenizer = copy.deepcopy(tiny.tokenizer)
    tokenizer.chat_template = TOOL_TEMPLATE
    return LoadedModel(tiny.model, tokenizer, "tiny-with-tools")


@pytest.fixture
def failing(tiny):
    """An engine whose model runs out of memory at its third token."""
    calls = 0

    def forward(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls > 3:
            raise torch.OutOfMemoryError("no room")

    handle = tiny.model.register_forward_pre_hook(forward)
    yield Engine(tiny, options=SamplingOptions(max_new_tokens=10))
    handle.remove()


@pytest.fixture(scope="session")
def index(embedding):
    """Two facts in LlamaIndex's FAISS store."""
    import faiss
    from llama_index.core import StorageContext
    from llama_index.vector_stores.faiss import FaissVectorStore

    store = FaissVectorStore(faiss.IndexFlatIP(384))
    context = StorageContext.from_defaults(vector_store=store)
    documents = [Document(text=fact) for fact in FACTS]
    return VectorStoreIndex.from_documents(documents, storage_context=context, embed_model=embedding)
