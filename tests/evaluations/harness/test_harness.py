# ruff: noqa: E402
"""lm-evaluation-harness on our model: off is its own ``hf`` model, on is our engine, and settings are paired."""

import json
import math
import subprocess
import sys

import pytest

pytest.importorskip("lm_eval", reason="needs lm-evaluation-harness: pip install 'sra-rag[lm-eval]'")
pytestmark = pytest.mark.filterwarnings("ignore")

from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from sra_evaluations.harness.harness_comparison import as_table, compare_in_harness
from sra_evaluations.harness.model import SRALM
from sra_evaluations.runs.named_settings import as_settings

from sra_rag.errors import ConfigError, ContextOverflowError
from sra_rag.generation.likelihood import answer_likelihood

ROWS = [
    {"context": "The lease of the mill ends in May.", "question": "When does it end?", "choices": ["May", "June"]},
    {"context": "The ferry to Orrin costs 40 crowns.", "question": "What does it cost?", "choices": ["40", "12"]},
    {"context": "The depot in Aldby has 31 doors.", "question": "How many doors?", "choices": ["31", "7"]},
]
PROMPT = r'"{{context}}\nQuestion: {{question}}\nAnswer:"'
CHOICE = """
task: tiny_choice
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: {prompt}
doc_to_choice: "{{{{choices}}}}"
doc_to_target: 0
metric_list: [{{metric: acc}}]
"""
ANSWER = """
task: tiny_answer
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: generate_until
generation_kwargs: {{until: ["\\n"], max_gen_toks: 6}}
doc_to_text: {prompt}
doc_to_target: "{{{{choices[0]}}}}"
metric_list: [{{metric: exact_match}}, {{metric: bleu}}]
"""


def likelihood(*arguments):
    return Instance("loglikelihood", {}, arguments, 0)


def generation(text, **options):
    return Instance("generate_until", {}, (text, {"until": ["\n\n"], "max_gen_toks": 8} | options), 0)


REQUESTS = [
    likelihood("The capital of France is", " Paris"),
    likelihood("The capital of France is ", "Rome, and that of Italy"),
    likelihood("", "Once upon a time"),
    likelihood("a " * 60 + "The capital of France is", " Paris"),
]
TEXT = "The lease of the mill ends in May. " * 10


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    """A folder with two tasks."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, ROWS)))
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name, text in (("choice", CHOICE), ("answer", ANSWER)):
        (folder / f"{name}.yaml").write_text(text.format(data=data, prompt=PROMPT))
    return folder


def test_off_is_the_harness_own_model(tiny_engine):
    loaded = tiny_engine.loaded
    reference = HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, max_length=48, batch_size=1)
    ours = SRALM(engine=tiny_engine, max_length=48)
    for mine, theirs in zip(
        ours.loglikelihood(REQUESTS, disable_tqdm=True), reference.loglikelihood(REQUESTS, disable_tqdm=True),
        strict=True,
    ):  # fmt: skip
        assert mine == (pytest.approx(theirs[0], abs=1e-3), theirs[1])
    assert ours.cut == 1
    whole = [Instance("loglikelihood_rolling", {}, (TEXT,), 0)]
    assert ours.loglikelihood_rolling(whole, disable_tqdm=True) == pytest.approx(
        reference.loglikelihood_rolling(whole, disable_tqdm=True), abs=1e-2
    )
    asked = [generation("Count: one, two, three,"), generation("b " * 60 + "one, two, three,")]
    assert ours.generate_until(asked, disable_tqdm=True) == reference.generate_until(asked, disable_tqdm=True)
    assert ours.cut == 2


@pytest.mark.parametrize("sra", [0.3, "alpha=0.4;rows=generated", {"alpha": 0.3, "bounds": "observed"}])
def test_on_is_our_engine(tiny_engine, sra):
    ours = SRALM(engine=tiny_engine, sra=sra)
    off = SRALM(engine=tiny_engine).loglikelihood(REQUESTS[:2], disable_tqdm=True)
    found = ours.loglikelihood(REQUESTS[:2], disable_tqdm=True)
    tiny_engine.prefixes.clear()
    direct = answer_likelihood(tiny_engine, "The capital of France is", " Rome, and that of Italy", sra=ours.sra)
    assert found[1][0] == pytest.approx(-direct.nats, abs=1e-3)
    assert found[1][0] != pytest.approx(off[1][0], abs=1e-3)
    said = tiny_engine.generate("Count: one, two, three,", sra=ours.sra, max_new_tokens=8)
    assert ours.generate_until([generation("Count: one, two, three,")], disable_tqdm=True) == [said.text]


@pytest.mark.slow
def test_the_harness_finds_the_model_by_its_name(tasks):
    found = simple_evaluate(
        model="sra", model_args="pretrained=embedded,dtype=float32,sra=0.2", tasks=["tiny_choice"], bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False), limit=1,
    )  # fmt: skip
    assert found["config"]["sra"]["alpha"] == 0.2
    assert found["results"]["tiny_choice"]["acc,none"] in (0.0, 1.0)


@pytest.mark.slow
def test_the_harness_own_command_line(tasks, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sra_evaluations.harness", "run", "--model", "sra", "--tasks", "tiny_choice",
         "--model_args", "pretrained=embedded,sra=alpha=0.2;rows=generated", "--include_path", str(tasks),
         "--limit", "1", "--output_path", str(tmp_path / "out.json")],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "|tiny_choice|" in done.stdout.replace(" ", "")
    [results] = [json.loads(path.read_text()) for path in tmp_path.glob("out*.json")]
    assert (results["config"]["sra"]["alpha"], results["config"]["sra"]["rows"]) == (0.2, "generated")


@pytest.mark.slow
def test_settings_are_paired_on_tasks(tiny_engine, tasks, tmp_path):
    findings = compare_in_harness(
        tiny_engine, ["tiny_choice", "tiny_answer"], as_settings(["off", "same:off", "0.9"]), to=tmp_path / "out",
        chat_template=True, include_path=tasks,
    )  # fmt: skip
    assert {(one.task, one.metric, one.setting) for one in findings} == {
        (task, metric, setting)
        for task, metric in (("tiny_choice", "acc"), ("tiny_answer", "exact_match"), ("tiny_answer", "bleu"))
        for setting in ("same", "alpha=0.9")
    }
    assert all(one.difference.n == 3 and one.baseline == "off" and one.higher_is_better for one in findings)
    assert all(one.difference.difference == 0 for one in findings if one.setting == "same")
    off, on = (json.loads((tmp_path / "out" / f"harness-{n}.json").read_text()) for n in ("off", "alpha=0.9"))
    likelihoods = [[sample["filtered_resps"] for sample in run["samples"]["tiny_choice"]] for run in (off, on)]
    assert likelihoods[0] != likelihoods[1]
    assert off["config"]["sra"] is None
    assert on["config"]["sra"]["alpha"] == 0.9
    assert all(math.isnan(one.difference.p_value) == (one.metric == "bleu") for one in findings)
    assert "| tiny_choice | acc ↑ | 3 |" in as_table(findings)


def test_what_cannot_be_is_refused(tiny_engine):
    with pytest.raises(ConfigError, match="after_context"):
        SRALM(engine=tiny_engine, sra={"alpha": 0.2, "rows": "after_context"})
    with pytest.raises(ConfigError, match="batch_size=4"):
        SRALM(engine=tiny_engine, batch_size=4)
    with pytest.raises(ConfigError, match="num_beams"):
        SRALM(engine=tiny_engine).generate_until([generation("One", num_beams=4)], disable_tqdm=True)
    with pytest.raises(ContextOverflowError):
        SRALM(engine=tiny_engine, max_length=8).generate_until([generation("One", max_gen_toks=9)], disable_tqdm=True)


@pytest.mark.slow
def test_rivals_are_refused(tmp_path):
    from sra_evaluations.harness.commands import harness

    with pytest.raises(ConfigError, match="best_last: rivals change the passages of a prompt"):
        harness(["squadv2"], settings=["off", "best_last"], to=tmp_path)


def test_a_task_the_harness_does_not_know_is_refused(tiny_engine, tmp_path):
    with pytest.raises(ConfigError, match="no task 'no_such_task'"):
        compare_in_harness(tiny_engine, ["no_such_task"], as_settings(["off", "0.2"]), to=tmp_path)
    with pytest.raises(ConfigError, match=r"squadv2 could not be loaded.*Go online"):
        compare_in_harness(tiny_engine, ["squadv2"], as_settings(["off", "0.2"]), to=tmp_path)
