"""Retrieval and answering as components of LangChain, LangGraph and LlamaIndex."""
