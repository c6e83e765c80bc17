"""Claim: scaling all attention scores by a constant helps less than scaling that follows the content.

Source: Ye et al., "DySCO" (arXiv 2602.22175), whose baseline is such a static scaling. The number of the abstract is
that of its dynamic scaling: relative gains of up to 25% on MRCR and LongBenchV2 with contexts of 128,000 tokens.

    python replications/static_scaling.py multidoc_qa.jsonl.gz --max-new-tokens 32

Our number (embedded 135M model, one passage among ten, 200 questions, docs/measurements.md): 38 right answers with the
constant factor 1.1 and 38 without: 0.0 points (-4.0 to +4.0). The right answer becomes likelier by 0.54 nats; with the
entropy rule, at about the same mean factor, by 0.31 nats more (0.24 to 0.40). Contexts of 128,000 tokens: not measured
yet.
"""

from claims import replicate

if __name__ == "__main__":
    replicate(__doc__, "passages=10", ["off", "constant:alpha=0.1,policy=constant", "entropy:alpha=0.25"])
