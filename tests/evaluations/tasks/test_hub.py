"""Published data sets: rows as they are published become examples, and folders are read through ``datasets``."""

import importlib.util

import pytest
from sra_evaluations.metrics import score
from sra_evaluations.tasks import load_task
from sra_evaluations.tasks.hub import HubQuestions
from sra_evaluations.tasks.hub_rows import SOURCES

from sra_rag.errors import ConfigError, MissingExtraError

SQUAD = {
    "id": "5733be284776f41900661182",
    "title": "University_of_Notre_Dame",
    "context": "Architecturally, the school has a Catholic character. Atop the Main Building's gold dome is a golden "
    "statue of the Virgin Mary. Next to the Main Building is the Basilica of the Sacred Heart.",
    "question": " What is next to the Main Building?",
    "answers": {"text": ["the Basilica", "the Basilica", "Basilica of the Sacred Heart"],
                "answer_start": [150, 150, 154]},
}  # fmt: skip
SQUAD["answers"]["answer_start"] = [SQUAD["context"].find(text) for text in SQUAD["answers"]["text"]]
UNANSWERABLE = SQUAD | {"id": "5a7db48670df9f001a87505f", "answers": {"text": [], "answer_start": []}}
HOTPOT = {
    "id": "5a8b57f25542995d1e6f1371",
    "question": "Were Scott Derrickson and Ed Wood of the same nationality?",
    "answer": "yes",
    "type": "comparison",
    "level": "hard",
    "supporting_facts": {"title": ["Scott Derrickson", "Ed Wood"], "sent_id": [0, 0]},
    "context": {
        "title": ["Adam Collis", "Ed Wood", "Tyler Bates", "Scott Derrickson"],
        "sentences": [
            ["Adam Collis is an actor.", " He studied at Rochester."],
            ["Edward Davis Wood Jr. was an American filmmaker."],
            ["Tyler Bates is a musician."],
            ["Scott Derrickson is an American director.", " He lives in Los Angeles."],
        ],
    },
}
LONGBENCH = {
    "input": "Which drug was given first?", "context": "Passage 1:\nAspirin was given first.\n", "answers": ["aspirin"],
    "length": 4210, "dataset": "qasper", "language": "en", "all_classes": None, "_id": "b6a0b3bb1fd2d1fa1ed8d3a1",
}  # fmt: skip
ROWS = {"squad": SQUAD, "squad_v2": UNANSWERABLE, "hotpot_qa": HOTPOT, "longbench_qasper": LONGBENCH}
has_datasets = importlib.util.find_spec("datasets") is not None
needs_datasets = pytest.mark.skipif(not has_datasets, reason="needs datasets: pip install 'sra-rag[hub]'")


@pytest.mark.parametrize("name", ROWS)
def test_rows_have_what_the_table_says(name):
    assert set(SOURCES[name].columns) <= set(ROWS[name])
    example = SOURCES[name].read(ROWS[name])
    assert len(example.gold_spans()) == len(example.gold)
    assert example.sha256()
    assert "Question: " in example.prompt()[0]["content"]


def test_squad():
    example = SOURCES["squad"].read(SQUAD)
    assert example.question == "Question: What is next to the Main Building?"
    assert example.answers == ("the Basilica", "Basilica of the Sacred Heart")
    assert example.gold == ("Next to the Main Building is the Basilica of the Sacred Heart.",)
    assert example.features["position"] == 0.75
    assert score("It is the Basilica.", example)["right"] == 1.0


def test_squad_without_an_answer():
    example = SOURCES["squad_v2"].read(UNANSWERABLE)
    assert example.answers == example.gold == ()
    assert score("The documents do not say.", example)["right"] == 1.0


def test_hotpot_keeps_its_passages():
    example = SOURCES["hotpot_qa"].read(HOTPOT)
    assert [passage.document for passage in example.passages] == HOTPOT["context"]["title"]
    assert example.gold == (
        "Ed Wood\nEdward Davis Wood Jr. was an American filmmaker.",
        "Scott Derrickson\nScott Derrickson is an American director. He lives in Los Angeles.",
    )
    assert example.features == {"type": "comparison", "level": "hard", "passages": 4, "position": 0.75}


def test_longbench_is_grouped_by_length():
    assert SOURCES["longbench_qasper"].read(LONGBENCH).features == {"data set": "qasper", "length": "4k to 8k"}


def write_parquet(folder, rows, split):
    from datasets import Dataset

    (folder / "data").mkdir(parents=True)
    Dataset.from_list(rows).to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


@pytest.fixture
def cached(tmp_path, monkeypatch):
    if has_datasets:
        import datasets.config

        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@needs_datasets
@pytest.mark.parametrize("name", ROWS)
def test_a_folder_of_parquet_files(name, tmp_path, cached):
    key = "_id" if "_id" in ROWS[name] else "id"
    rows = [ROWS[name] | {key: f"row-{n}"} for n in range(5)]
    folder = write_parquet(tmp_path / "files", rows, SOURCES[name].split)
    task = load_task(f"hub:dataset={name},data={folder}")
    found = task.examples(3, 0, len)
    assert len(found) == 3
    assert found == task.examples(3, 0, len)
    assert [example.id for example in found] == sorted(example.id for example in found)
    whole = task.examples(100, 1, len)
    assert whole == [SOURCES[name].read(row) for row in rows]


@needs_datasets
def test_what_cannot_be_is_refused(tmp_path, cached):
    with pytest.raises(ConfigError, match=r"rajpurkar/squad.*could not be loaded.*data=FOLDER"):
        HubQuestions("squad").examples(1, 0, len)
    with pytest.raises(ConfigError, match="no such folder"):
        HubQuestions("squad", data=tmp_path / "nothing").examples(1, 0, len)
    folder = write_parquet(tmp_path / "files", [HOTPOT], "validation")
    with pytest.raises(ConfigError, match=r"lack title, answers.*supporting_facts"):
        HubQuestions("squad", data=folder).examples(1, 0, len)
    with pytest.raises(ConfigError, match="no context has 3 tokens"):
        HubQuestions("hotpot_qa", data=folder, tokens=3).examples(1, 0, len)
    with pytest.raises(ConfigError, match="could not be loaded"):
        HubQuestions("hotpot_qa", data=folder, split="train").examples(1, 0, len)


def test_names_are_checked():
    with pytest.raises(ConfigError, match=r"squid.*squad, squad_v2, hotpot_qa, longbench_narrativeqa"):
        HubQuestions("squid")


@pytest.mark.skipif(has_datasets, reason="is about a machine without datasets")
def test_without_the_package_the_extra_is_named():
    with pytest.raises(MissingExtraError, match=r"pip install 'sra-rag\[hub\]'"):
        load_task("hub:dataset=squad")
