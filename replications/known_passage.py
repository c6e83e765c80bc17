"""Claim: more attention of some heads on a part of the prompt that the user marks improves answers.

Source: Zhang et al., "Tell Your Model Where to Attend" (PASTA, arXiv 2311.02262): an average accuracy improvement of
22% for LLAMA-7B, over tasks of instructions and new knowledge. Here the marked part is the passage with the answer,
which a user does not know: it is an upper bound of what evidence weights can bring.

    python replications/known_passage.py multidoc_qa.jsonl.gz

Our number (embedded 135M model, ten similar passages, 40 questions, docs/measurements.md): 13 right answers with
weights on the known passage, 6 without (+17.5 points, 0 to +35), and 14 with only that passage in the prompt (+20
points, +5 to +35). The right answer becomes likelier by 2.9 nats with the weights (1.9 to 4.1), and by 4.5 nats (3.8
to 5.3) with only that passage. Evidence, which has to find the passage, also has 14 right answers.
"""

from claims import replicate

if __name__ == "__main__":
    replicate(__doc__, "distractors=similar,position=random", ["off", "emphasis_gold", "only_gold"])
