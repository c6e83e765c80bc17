"""The generator of the sample documents: ``python -m tools.sample_documents`` in the root of the repository."""
