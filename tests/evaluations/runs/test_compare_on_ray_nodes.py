"""Questions on a cluster of two machines, one of which dies; `tests.machines` makes both of this one."""

import collections
import json
import time

import pytest

from tests.machines import ray_on, said_by, two_machines

pytest.importorskip("ray", reason="needs Ray: pip install 'sra-rag[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_machine_that_dies_leaves_its_work_to_the_other(tmp_path):
    with two_machines(tmp_path) as machines, ray_on(machines) as cluster:
        evaluate = ("evaluate", "needle:length=200", "--sra", "off", "--sra", "0.3", "--max-new-tokens", "6", "--limit")
        records = tmp_path / "two" / "records.jsonl"
        first, second = (machine.name for machine in machines)
        process = machines[0].sra_rag(*evaluate, 10, "--to", records.parent, "--ray-address", cluster)
        while not (records.is_file() and f'"worker": "{second}"' in records.read_text()):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.2)
        machines[1].die()
        said_by(process)
        found = [json.loads(line) for line in records.read_text().splitlines()]
        assert len({(record["example"], record["setting"]) for record in found}) == len(found) == 20
        by = collections.Counter(record["worker"] for record in found)
        assert by.keys() == {first, second}
        assert by[first] > by[second]

        said_by(machines[0].sra_rag(*evaluate, 3, "--to", tmp_path / "one"))  # without Ray
        answers = {(record["example"], record["setting"]): record["answer"] for record in found}
        for line in (tmp_path / "one" / "records.jsonl").read_text().splitlines():
            record = json.loads(line)
            assert record["answer"] == answers[record["example"], record["setting"]]
