"""Command line options that several subcommands share; the subcommands of ``sra_evaluations`` import them too.

An option is declared here once, so that it has the same name, the same values and the same help everywhere.
"""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    "KEY_VARIABLE",
    "Alpha",
    "AsJson",
    "ContextTokens",
    "Dtype",
    "EngineKey",
    "EngineOption",
    "EngineTokenizer",
    "EngineWindow",
    "Layers",
    "LocalModel",
    "MaxNewTokens",
    "OwnEmbedding",
    "Policy",
    "PresetOption",
    "Ray",
    "RayAddress",
    "Rows",
    "ServedModelName",
    "Settings",
]

KEY_VARIABLE = "SRA_RAG_ENGINE_KEY"

# The model
ServedModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        show_default=False,
        help="'embedded' (the default), a name on the Hugging Face hub, a folder or a .gguf file. With a server: the "
        "name that the server uses for its model; by default its only one.",
    ),
]
LocalModel = Annotated[
    str,
    typer.Option(
        "--model", metavar="MODEL", help="'embedded', a name on the Hugging Face hub, a folder or a .gguf file."
    ),
]
Dtype = Annotated[
    str,
    typer.Option(metavar="TYPE", help="float32, bfloat16, float16, or auto: the fastest type on this machine."),
]
MaxNewTokens = Annotated[int, typer.Option(min=1, metavar="N", help="Maximum number of tokens of an answer.")]
OwnEmbedding = Annotated[
    str | None,
    typer.Option(
        "--embedding",
        metavar="MODEL",
        show_default=False,
        help="Embedding model: 'embedded', a name on the hub or a folder. By default the model that the index was made "
        "with, and 'embedded' without an index.",
    ),
]

# Where the model runs
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="WHERE",
        help="Where the model runs: here (in this process); vllm (a vLLM server that is started and ended with this "
        "command); or the address of a server with OpenAI's API, such as http://localhost:8000/v1.",
    ),
]
EngineKey = Annotated[
    str | None,
    typer.Option(
        "--engine-key",
        metavar="KEY",
        envvar=KEY_VARIABLE,
        show_default=False,
        help="API key for the server given with --engine.",
    ),
]
EngineTokenizer = Annotated[
    str | None,
    typer.Option(
        "--tokenizer",
        metavar="NAME",
        show_default=False,
        help="Tokenizer of the model on a server: 'embedded', a name on the hub or a folder. By default the tokenizer "
        "of the model that the server names.",
    ),
]
EngineWindow = Annotated[
    int | None,
    typer.Option(
        "--window",
        metavar="N",
        show_default=False,
        help="Maximum number of tokens of prompt and answer together, for a server that does not report it.",
    ),
]

# How attention is changed
Settings = Annotated[
    str | None,
    typer.Option(
        "--sra",
        metavar="SETTING",
        help="How attention is changed: evidence (the default: more weight on the passage that the model attends to), "
        "off, 0.3 (sharpening), evidence=4,alpha=0.3, or a JSON profile.",
    ),
]
Alpha = Annotated[
    float | None, typer.Option(help="Strength of sharpening, which is then used instead of evidence; 0 is off.")
]
Rows = Annotated[
    str | None,
    typer.Option(
        help="The positions of the prompt whose attention is sharpened: all; after_context (question and answer; costs "
        "almost no time); generated (answer only)."
    ),
]
Layers = Annotated[str | None, typer.Option(help="Layers to sharpen: all, last:N, or a list such as 0,3,10-19.")]
Policy = Annotated[str | None, typer.Option(help="Sharpening rule: entropy (as in the paper), constant or focus.")]

# Documents and prompts
ContextTokens = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        show_default=False,
        help="Maximum number of tokens of passages in the prompt; by default what suits the model: 1500 for the "
        "measured models, and for others 6000, as far as the context window allows.",
    ),
]
PresetOption = Annotated[
    str,
    typer.Option("--preset", help="Prompt and checks: the name of a preset (see 'sra-rag presets') or a preset file."),
]

# Where the work is done, and how results are written
Ray = Annotated[bool, typer.Option("--ray", help="Run in Ray workers, started on this machine; see --ray-address.")]
RayAddress = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Run in workers of this Ray cluster: auto (the cluster of this machine), or HOST:PORT. The documents or "
        "questions are sent there, and each worker loads the model by its name.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print a single JSON object and nothing else.")]
