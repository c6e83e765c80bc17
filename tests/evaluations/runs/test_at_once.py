"""Several pieces of work at once, where the model is on a server."""

import threading
from types import SimpleNamespace

import pytest
from sra_evaluations.runs.at_once import at_once

SERVER, HERE = SimpleNamespace(in_flight=3), SimpleNamespace(in_flight=1)


def test_results_come_in_the_order_of_the_work():
    together = threading.Barrier(3)

    def work(number, _):
        together.wait(10)  # three at once, or none gets through
        return -number

    assert list(at_once(SERVER, work, range(6))) == [0, -1, -2, -3, -4, -5]


def test_here_one_is_done_after_the_other_when_it_is_asked_for():
    threads = []
    results = at_once(HERE, lambda number, _: threads.append(threading.current_thread()) or number, range(3))
    assert next(results) == 0
    assert threads == [threading.current_thread()]


def test_where_one_fails_the_others_are_told_to_end():
    ended = []
    begun = threading.Barrier(3)

    def work(number, cancel):
        begun.wait(10)
        if number == 0:
            raise OSError("no more")
        ended.append(cancel.wait(10))

    with pytest.raises(OSError, match="no more"):
        list(at_once(SERVER, work, range(3)))
    assert ended == [True, True]
