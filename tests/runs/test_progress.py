"""How far a run has come."""

from __future__ import annotations

from darknet_py.runs.progress import Progress


def test_a_run_is_complete_when_all_units_are_done_by_whichever_run():
    assert [Progress(done, 3, 1, 2.0).complete for done in (2, 3)] == [False, True]


def test_the_speed_is_of_this_run():
    assert Progress(30, 40, 10, 2.0).speed == 5


def test_a_run_that_took_no_time_has_no_speed():
    assert Progress(1, 1, 1, 0.0).speed == 0
