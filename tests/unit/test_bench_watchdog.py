from bench.watchdog import Stall, find_stall, parse, touched


def test_waking_in_time_is_no_stall():
    assert find_stall(10.0, 10.006) is None


def test_waking_late_is_a_stall_of_that_span():
    assert find_stall(10.0, 10.15) == Stall(10.0, 10.15)


def test_parse_leaves_an_unfinished_line_alone():
    assert parse("1.0 1.1\n2.0 2.2\n3.0 3") == (Stall(1.0, 1.1), Stall(2.0, 2.2))
    assert parse("") == ()


def test_touched_by_any_overlap():
    stalls = (Stall(5.0, 5.2),)
    assert touched(stalls, 5.1, 6.0)
    assert touched(stalls, 4.0, 5.1)
    assert touched(stalls, 4.0, 6.0)
    assert touched(stalls, 5.05, 5.1)
    assert not touched(stalls, 5.2, 6.0)
    assert not touched(stalls, 4.0, 5.0)
