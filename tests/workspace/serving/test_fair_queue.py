from llm4top.workspace.serving.fair_queue import FairQueue


def filled(**lines):
    queue = FairQueue()
    for client, items in lines.items():
        for item in items:
            queue.add(client, item)
    return queue


def test_clients_take_turns_and_keep_their_own_order():
    queue = filled(a=["a1", "a2", "a3"], b=["b1"], c=["c1", "c2"])
    assert [queue.take() for _ in range(6)] == ["a1", "b1", "c1", "a2", "c2", "a3"]
    assert queue.take() is None


def test_one_who_comes_late_waits_for_one_turn_of_each_other():
    queue = filled(a=[f"a{n}" for n in range(100)])
    queue.take()
    queue.add("b", "b1")
    assert queue.take() == "a1"
    assert queue.take() == "b1"


def test_those_passed_over_keep_their_turn():
    queue = filled(a=["x1"], b=["y1"], c=["x2"])
    assert queue.take(lambda item: item.startswith("y")) == "y1"
    assert queue.take() == "x1"
    assert queue.take(lambda item: item.startswith("y")) is None
    assert queue.take() == "x2"


def test_what_is_removed_leaves_no_empty_line():
    queue = filled(a=[1, 2, 3], b=[4])
    assert queue.remove(lambda item: item != 2) == 3
    assert (len(queue), queue.waiting("a"), queue.waiting("b")) == (1, 1, 0)
    assert list(queue) == [2]
