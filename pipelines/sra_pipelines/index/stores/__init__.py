"""Where the vectors of an index are kept: FAISS, or a vector store of LlamaIndex."""
