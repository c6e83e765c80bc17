"""Slots: in order, by turns, and none that one client can keep from the others."""

import asyncio

import pytest
from sra_pipelines.server.slots import QueueFullError, Slots


async def test_slots_are_given_in_order():
    slots = Slots(1, 3)
    order = []

    async def use(name):
        async with slots.slot(5):
            order.append(name)
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(use(name)) for name in range(4)]
    while not slots.running:
        await asyncio.sleep(0)
    with pytest.raises(QueueFullError, match="3 requests are already waiting"):
        await use("late")
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3]


async def test_waiting_has_an_end_and_leaves_no_trace():
    slots = Slots(1, 3)
    async with slots.slot(5):
        with pytest.raises(TimeoutError):
            async with slots.slot(0.01):
                pass
        assert (slots.running, slots.waiting) == (1, 0)
    assert slots.running == 0


async def hold(slots, client, order, seconds=0.0):
    async with slots.slot(5, client):
        order.append(client)
        await asyncio.sleep(seconds)


async def enter(slots, *clients, order):
    """Let requests come one after the other, and return their tasks."""
    tasks = []
    for client in clients:
        tasks.append(asyncio.create_task(hold(slots, client, order)))
        await asyncio.sleep(0)
    return tasks


async def test_clients_take_turns():
    slots, order = Slots(1, 10), []
    async with slots.slot(5, "greedy"):
        tasks = await enter(slots, *["greedy"] * 4, "a", "b", "a", order=order)
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "greedy", "a", "greedy", "greedy", "greedy"]


async def test_who_gives_up_while_waiting_loses_no_turn():
    slots, order = Slots(1, 10), []
    async with slots.slot(5, "x"):
        gone, *tasks = await enter(slots, "a", "b", "b", "a", order=order)
        gone.cancel()
    await asyncio.gather(*tasks)
    assert order == ["b", "a", "b"]
    assert gone.cancelled()
    assert (slots.running, slots.waiting) == (0, 0)


async def test_a_full_queue_of_one_client_lets_others_in():
    slots, order = Slots(1, 3), []
    async with slots.slot(5, "greedy"):
        tasks = await enter(slots, "greedy", "greedy", "greedy", "a", order=order)
        assert slots.waiting == 3
        with pytest.raises(QueueFullError):
            await tasks[2]  # its newest
        with pytest.raises(QueueFullError):
            await hold(slots, "greedy", order)
        with pytest.raises(QueueFullError):
            await hold(slots, "a", order)  # one more than greedy's two would be no fairer
    await asyncio.gather(tasks[0], tasks[1], tasks[3])
    assert order == ["a", "greedy", "greedy"]


async def test_a_refused_client_is_not_overtaken_for_ever():
    """Two clients ask again as soon as they are answered; the third comes back when it was told to."""
    slots, counts = Slots(1, 1), dict.fromkeys("abc", 0)
    slots._mean_seconds = 0.01

    async def ask(client):
        while min(counts.values()) < 3:
            try:
                async with slots.slot(5, client):
                    counts[client] += 1
                    await asyncio.sleep(0.01)
            except QueueFullError:
                await asyncio.sleep(0.02)

    await asyncio.wait_for(asyncio.gather(*(ask(client) for client in counts)), 5)
    assert max(counts.values()) <= 2 * min(counts.values()) + 2


async def test_a_place_is_held_only_for_a_while(monkeypatch):
    monkeypatch.setattr("sra_pipelines.server.slots._LATE", -0.95)  # beyond the second it is told
    slots, order = Slots(1, 2), []
    async with slots.slot(5, "x"):
        slots._mean_seconds = 0.01
        tasks = await enter(slots, "a", "b", order=order)
        with pytest.raises(QueueFullError):
            await hold(slots, "never back", order)
        tasks[0].cancel()
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await hold(slots, "c", order)
        await asyncio.sleep(0.1)
        tasks += await enter(slots, "c", order=order)
    await asyncio.gather(*tasks[1:])
    assert order == ["b", "c"]


async def test_a_slot_given_in_the_moment_of_giving_up_goes_on():
    slots, order = Slots(1, 3), []
    first = slots.slot(5, "x")
    await first.__aenter__()
    gone, stays = await enter(slots, "a", "b", order=order)
    await first.__aexit__(None, None, None)  # grants to "a", which has not run since
    gone.cancel()
    await asyncio.gather(gone, stays, return_exceptions=True)
    assert order == ["b"]
    assert slots.running == 0
