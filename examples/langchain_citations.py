"""An LCEL chain from a question to an answer with citations, once without and once with evidence."""

from langchain_sra import ChatSRAHuggingFace
from sra_pipelines import DocumentIndex, DocumentQA
from sra_pipelines.frameworks.langchain import answer_chain
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.readers import read_document
from sra_pipelines.samples import sample_documents

from sra_rag import Engine, load_model

MODEL = "embedded"
QUESTION = "Within how many hours must the Supplier notify the Customer of a personal data breach?"

engine = Engine(load_model(MODEL))
index = DocumentIndex([read_document(path) for path in sample_documents()], load_embedding("embedded"))
qa = DocumentQA(index, engine, context_tokens=1500)
chain = answer_chain(qa, ChatSRAHuggingFace(engine=engine, max_tokens=48))

print(QUESTION)
for sra in (None, "evidence"):
    answer = chain.invoke(QUESTION, {"configurable": {"sra": sra}})
    print(f"\n{sra or 'off'}: {answer.text}")
    for citation in answer.citations:
        print(f"  {citation.document}, page {citation.page_label}: “{citation.quote}”")
