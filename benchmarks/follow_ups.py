"""Retrieval for follow-up questions, in twenty dialogues about the sample documents.

    python benchmarks/follow_ups.py --model embedded

Each dialogue has a question, its answer and a follow-up question. The output shows for how many follow-up questions the
text with the answer is among the retrieved passages: with the question as it was asked, with every question rewritten
by the model, as in earlier versions, and with `Chat.standalone`, which does not rewrite complete questions and discards
rewritten questions in which a name is missing or added.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sra_pipelines.answering.chat import Chat
from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.readers import read_document
from sra_pipelines.samples import sample_documents

from sra_rag import Engine, load_model

DIALOGUES = Path(__file__).parent.parent / "tests" / "pipelines" / "answering" / "dialogues.jsonl"


def main() -> None:
    """Retrieve for all dialogues; print each question and the totals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded", help="as for load_model (default: embedded)")
    parser.add_argument("--context-tokens", type=int, default=450, help="tokens of passages (default: 450)")
    options = parser.parse_args()
    index = DocumentIndex([read_document(path) for path in sample_documents()], load_embedding())
    qa = DocumentQA(index, Engine(load_model(options.model)), context_tokens=options.context_tokens)
    hits = {"as asked": 0, "rewritten": 0, "standalone": 0}
    dialogues = [json.loads(line) for line in DIALOGUES.read_text(encoding="utf-8").splitlines()]
    for dialogue in dialogues:
        chat = Chat(qa, history=[(dialogue["first"], dialogue["answer"])], rewrite_timeout=None)
        rewritten = chat.rewrite(dialogue["follow_up"])
        questions = {
            "as asked": dialogue["follow_up"],
            "rewritten": rewritten or f"{dialogue['first']} {dialogue['follow_up']}",
            "standalone": chat.standalone(dialogue["follow_up"]),
        }
        for name, question in questions.items():
            passages = qa.retrieve(question, max_new_tokens=64).passages
            is_hit = any(
                passage.document == dialogue["document"]
                and " ".join(dialogue["text"].split()) in " ".join(passage.text.split())
                for passage in passages
            )
            hits[name] += is_hit
            print(f"{'found' if is_hit else 'not found':9} {name:10} {question}")
    print()
    for name, count in hits.items():
        print(f"{name}: {count} of {len(dialogues)}")


if __name__ == "__main__":
    main()
