"""A LlamaIndex query engine over two documents; `sra="evidence"` is the only argument that LlamaIndex does not know."""

from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.llms.sra import SRAHuggingFaceLLM
from sra_pipelines import read_document
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.samples import sample_documents

MODEL = "embedded"
QUESTION = "Which law governs the agreement?"

Settings.llm = SRAHuggingFaceLLM(model_name=MODEL, sra="evidence", max_new_tokens=48)
Settings.embed_model = load_embedding("embedded")

pages = [
    Document(text=page.text, metadata={"document": document.name, "page": page.label})
    for document in map(read_document, sample_documents())
    for page in document.pages
]
index = VectorStoreIndex.from_documents(pages)
response = index.as_query_engine(similarity_top_k=4).query(QUESTION)

print(f"{QUESTION}\n{response}\n")
for node in response.source_nodes:
    print(f"{node.metadata['document']}, page {node.metadata['page']}: score {node.score:.2f}")
