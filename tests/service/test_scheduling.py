from openai_local.service.scheduling import Waiting, in_order, places


def order(*jobs, last=None):
    given = [Waiting(id_, id_[0], rank=rank) for id_, rank in ((j, 0) if isinstance(j, str) else j for j in jobs)]
    return [job.id for job in in_order(given, last or {})]


def test_one_job_each_before_anyones_second():
    assert order("a1", "a2", "a3", "b1", "c1", "b2") == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_whoever_had_the_last_turn_waits_for_the_others():
    assert order("a1", "b1", "c1", last={"a": 3, "b": 1}) == ["c1", "b1", "a1"]


def test_nobody_is_passed_by_for_ever():
    """Somebody who hands in job after job gets every second turn when one other is there."""
    waiting, last, ran = [Waiting("b1", "b")], {"a": 5}, []
    for number in range(6):
        waiting.append(Waiting(f"a{number}", "a"))
        if number == 2:
            waiting.append(Waiting("b2", "b"))
        job = in_order(waiting, last)[0]
        waiting.remove(job)
        last[job.owner] = 10 + number
        ran.append(job.owner)
    assert ran == ["b", "a", "b", "a", "a", "a"]


def test_an_instructor_puts_jobs_first_and_last():
    assert order(("a1", 1), "b1", "c1", ("c2", -1)) == ["c2", "b1", "c1", "a1"]
    assert order(("a1", -1), "b1", ("c1", -2)) == ["c1", "a1", "b1"], "the last one put first is first"
    assert order(("a1", 2), ("b1", 1), "c1") == ["c1", "b1", "a1"]


def test_a_job_put_first_is_a_turn():
    assert order(("a1", -1), "a2", "b1") == ["a1", "b1", "a2"]


def test_the_wait_is_what_is_before():
    queue = [Waiting("a1", "a", 100.0), Waiting("b1", "b", 50.0), Waiting("c1", "c", 10.0)]
    found = places(queue, [30.0], 1)
    assert [(place.ahead, place.starts_in) for place in found.values()] == [(1, 30.0), (2, 130.0), (3, 180.0)]


def test_with_several_at_once_the_next_free_place_counts():
    queue = [Waiting("a1", "a", 100.0), Waiting("b1", "b", 50.0), Waiting("c1", "c", 10.0)]
    found = places(queue, [30.0, 80.0], 2)
    assert [place.starts_in for place in found.values()] == [30.0, 80.0, 130.0]
    assert [place.starts_in for place in places(queue, [30.0], 4).values()] == [0.0, 0.0, 0.0]
    assert [place.starts_in for place in places(queue[:2], [], 1).values()] == [0.0, 100.0]


def test_nobody_is_told_a_time_that_nobody_knows():
    queue = [Waiting("a1", "a", None), Waiting("b1", "b", 50.0)]
    assert [place.starts_in for place in places(queue, [None], 1).values()] == [None, None]
    assert [place.starts_in for place in places(queue, [30.0], 1).values()] == [30.0, None]


def test_a_thousand_jobs_are_ordered_at_once():
    queue = [Waiting(f"{n}", f"owner {n % 100}", 10.0) for n in range(1000)]
    ordered = in_order(queue, {f"owner {n}": n + 1 for n in range(50)})
    assert {job.owner for job in ordered[:100]} == {job.owner for job in ordered[100:200]}
    assert len({job.owner for job in ordered[:100]}) == 100
    assert places(ordered, [5.0], 1)[ordered[-1].id].starts_in == 5.0 + 999 * 10.0
