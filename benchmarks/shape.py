"""Write the config.json of a model whose shape alone is measured, with random weights.

Usage: ``python benchmarks/shape.py Llama-3.1-8B FOLDER``.
"""

from __future__ import annotations

import argparse

from sizing import SHAPES


def main() -> None:
    """Write the config."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=SHAPES, help="name of the shape")
    parser.add_argument("folder", help="folder that is created")
    options = parser.parse_args()
    config = SHAPES[options.name]
    config.max_position_embeddings = 131072
    config.architectures = ["LlamaForCausalLM" if config.model_type == "llama" else "Qwen3ForCausalLM"]
    config.save_pretrained(options.folder)


if __name__ == "__main__":
    main()
