"""Start `sra-rag serve` over the sample documents, ask it with OpenAI's client, and stop it."""

import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import openai
from sra_pipelines.samples import sample_documents

MODEL = "embedded"
PORT = 8765
QUESTION = "What is the Commencement Date of the agreement?"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sra_rag.cli", *arguments]


with tempfile.TemporaryDirectory() as folder:
    index = str(Path(folder) / "samples.index")
    subprocess.run(command("index", "add", *map(str, sample_documents()), "--to", index), check=True)  # noqa: S603
    server = subprocess.Popen(command("serve", index, "--model", MODEL, "--port", str(PORT)))  # noqa: S603
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{PORT}/v1", api_key="none")
        answer = client.chat.completions.create(
            model="sra-rag", messages=[{"role": "user", "content": QUESTION}], max_tokens=48, temperature=0.0
        )
        print(f"{QUESTION}\n{answer.choices[0].message.content}")
        for citation in answer.citations or ():
            print(f"  {citation['document']}, page {citation['page_label']}: “{citation['quote']}”")
    finally:
        server.terminate()
        server.wait()
