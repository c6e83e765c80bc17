"""The subcommands of ``sra-rag`` that work with documents."""
