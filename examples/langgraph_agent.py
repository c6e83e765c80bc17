"""A graph that retrieves, answers and cites; its steps are shown as they happen."""

from langchain_sra import ChatSRAHuggingFace
from sra_pipelines import DocumentIndex, DocumentQA
from sra_pipelines.frameworks.langgraph import answer_graph
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.readers import read_document
from sra_pipelines.samples import sample_documents

from sra_rag import Engine, load_model

MODEL = "embedded"
QUESTION = "With whom must the source code of the platform be deposited?"

engine = Engine(load_model(MODEL, sra="evidence"))
index = DocumentIndex([read_document(path) for path in sample_documents()], load_embedding("embedded"))
graph = answer_graph(DocumentQA(index, engine, context_tokens=1500), ChatSRAHuggingFace(engine=engine, max_tokens=48))

for step in graph.stream({"question": QUESTION}, stream_mode="updates"):
    for name, update in step.items():
        print(f"{name}: {', '.join(update)}")
        if "answer" in update:
            print(update["answer"].text)
