"""Claim: more attention of some heads on a part of the prompt that the user marks improves answers.

Source: Zhang et al., "Tell Your Model Where to Attend" (PASTA, arXiv 2311.02262): an average accuracy improvement of
22% for LLAMA-7B, over tasks of instructions and new knowledge. Here the marked part is the passage with the answer,
which a user does not know: it is an upper bound of what evidence weights can bring.

    python replications/known_passage.py multidoc_qa.jsonl.gz

Our number (embedded 135M model, ten similar passages, 11 questions, at most 32 tokens): 1 right answer with weights on
the known passage, 2 without (-9 points, -36 to +18), and 2 with only that passage in the prompt (0 points, -27 to +27):
too few to show a difference. The right answer becomes likelier by 1.3 nats with the weights (0.5 to 3.5), and by 2.6
nats (1.8 to 3.7) with only that passage.
"""

from claims import replicate

if __name__ == "__main__":
    replicate(__doc__, "distractors=similar,position=random", ["off", "emphasis_gold", "only_gold"])
