"""An index made on a cluster of two machines, one of which dies, is the one that one machine makes.

Both are made of this one: `tests.machines` says what they share.
"""

import json
import sys
import time

import numpy as np
import pytest
from sra_pipelines.index.writer import add_documents

from tests.machines import FIRST, SECOND, ray_on, said_by, two_machines
from tests.pipelines.index.test_prepare_on_ray import contents

pytest.importorskip("ray", reason="needs Ray: pip install 'sra-rag[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WHERE_FILES_WERE_WORKED_ON = """
import json, sys, ray
ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
print(json.dumps([event["pid"] for event in ray.timeline() if event["cat"].endswith("(IndexWorker)).submit")]))
"""
AT_WORK = "^ray::.*IndexWorker.*submit"  # what Ray calls a process while it works on a file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the command starts; the second machine cannot see it."""
    return tmp_path_factory.mktemp("first")


@pytest.fixture(scope="module")
def machines(folder):
    with two_machines(folder) as there:
        yield there


@pytest.fixture(scope="module")
def cluster(machines):
    with ray_on(machines) as address:
        yield address


@pytest.fixture(scope="module")
def add(folder, cluster, machines):
    """Start to add files of a folder to an index, both of them named as from where the command starts."""

    def start(docs):
        (folder / docs).mkdir()
        for street in range(6):
            rents = (f"House {n} in {docs} {street} costs {n}2,400 crowns a year." for n in range(1, 120))
            (folder / docs / f"{docs}{street}.md").write_text("# Rents\n\n" + "\n\n".join(rents))
        return machines[0].sra_rag("index", "add", docs, "--to", f"{docs}.index", "--ray-address", cluster, "--json")

    return start


def assert_as_made_by_one_machine(folder, docs, embedding):
    add_documents(folder / "one.index", [folder / docs], lambda: embedding, embedding_name="embedded", workers=0)
    one, two = contents(folder / "one.index"), contents(folder / f"{docs}.index")
    for name, document in two.items():
        assert document.pages == one[name].pages
        assert document.passages == one[name].passages
        assert np.abs(document.vectors - one[name].vectors).max() < 1e-5
    assert two.keys() == {name for name in one if name.startswith(docs)}


def test_both_machines_work_on_files_that_only_one_has(folder, cluster, machines, add, embedding):
    at_work: set[str] = set()
    for number in range(5):  # a machine may be done with all files before a busy one has begun
        report = json.loads(said_by(add(f"street{number}-")))
        assert (len(report["added"]), report["failed"]) == (6, {})
        where = said_by(machines[0].popen(sys.executable, "-c", WHERE_FILES_WERE_WORKED_ON, cluster))
        at_work = set(json.loads(where.splitlines()[-1]))
        assert_as_made_by_one_machine(folder, f"street{number}-", embedding)
        if at_work == {FIRST, SECOND}:
            break
    assert at_work == {FIRST, SECOND}


def test_a_machine_whose_ray_is_killed_at_work_leaves_its_files_to_the_other(folder, machines, add, embedding):
    process = add("avenue")
    while machines[1].popen("pgrep", "-f", AT_WORK).wait():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    said_by(machines[1].popen("pkill", "-KILL", "-x", "raylet"))
    report = json.loads(said_by(process))
    assert (len(report["added"]), report["failed"]) == (6, {})
    assert_as_made_by_one_machine(folder, "avenue", embedding)
