"""lm-evaluation-harness's own command line, with the model ``sra`` among its models.

For example::

    python -m sra_evaluations.harness run --model sra --model_args pretrained=embedded,sra=0.2 --tasks squadv2
"""

from lm_eval.__main__ import cli_evaluate

from sra_evaluations.harness import model  # noqa: F401 - registers itself

if __name__ == "__main__":
    cli_evaluate()
