"""Work at once, results in turn."""

import threading

import pytest
from sra_evaluations.in_flight import InFlight


def test_results_come_in_the_order_in_which_work_was_begun():
    taken, together = [], threading.Barrier(3)

    def work(number):
        together.wait(10)  # three at once, or none gets through
        return -number

    with InFlight(3, lambda job, result: taken.append((job, result()))) as under_way:
        for number in range(6):
            under_way.begin(number, lambda number=number: work(number))
    assert taken == [(number, -number) for number in range(6)]


def test_one_at_a_time_is_done_by_the_thread_that_begins_it():
    threads = []
    with InFlight(1, lambda job, result: result()) as under_way:
        under_way.begin("job", lambda: threads.append(threading.current_thread()))
        assert threads == [threading.current_thread()]


def test_what_is_done_alone_has_nothing_beside_it():
    busy, seen = set(), []

    def work(name):
        busy.add(name)
        seen.append((name, len(busy)))
        busy.discard(name)

    with InFlight(4, lambda job, result: result()) as under_way:
        for name in "ab":
            under_way.begin(name, lambda name=name: work(name))
        under_way.alone("c", lambda: work("c"))
        assert seen[-1] == ("c", 1)
        assert [name for name, _ in seen[:2]] != ["c"]
    assert len(seen) == 3


def test_where_one_fails_the_others_are_told_to_end():
    ended = []

    def wait(cancel):
        ended.append(cancel.wait(10))

    def fail():
        raise OSError("no more")

    def run():
        with InFlight(3, lambda job, result: result()) as under_way:
            under_way.begin("bad", fail)
            for number in range(2):
                under_way.begin(number, lambda: wait(under_way.cancel))
            under_way.begin("one more than there is room for", fail)

    with pytest.raises(OSError, match="no more"):
        run()
    assert ended == [True, True]
