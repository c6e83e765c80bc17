"""Claim: more attention of some heads on a part of the prompt that the user marks improves answers.

Source: Zhang et al., "Tell Your Model Where to Attend" (PASTA, arXiv 2311.02262): an average accuracy improvement of
22% for LLAMA-7B, over tasks of instructions and new knowledge. Here the marked part is the passage with the answer,
which a user does not know: it is an upper bound of what evidence weights can bring.

    python replications/known_passage.py multidoc_qa.jsonl.gz

Our number: not measured yet.
"""

from claims import replicate

if __name__ == "__main__":
    replicate(__doc__, "distractors=similar,position=random", ["off", "emphasis_gold", "only_gold"])
