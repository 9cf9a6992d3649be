"""Is a file still being written?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forged.model.files import Stat
from forged.model.target import SettlePolicy
from forged.rules.settle import Look, Moment, look_again, may_come_unfinished, quiet_s, surely_settled_ns, wait_s

S = 1_000_000_000
POLICY = SettlePolicy(settle_s=2.0, settle_max_s=600.0)
NOW = Moment(source_ns=1_000 * S, ours_s=50.0)


def written(seconds_ago: float, *, inode_changed_ago: float | None = None) -> Stat:
    ctime_ago = seconds_ago if inode_changed_ago is None else inode_changed_ago
    return Stat(10, round(NOW.source_ns - seconds_ago * S), 1, round(NOW.source_ns - ctime_ago * S))


def test_a_file_just_written_waits_for_the_rest_of_settle() -> None:
    assert wait_s(written(0.5), None, NOW, POLICY, 0) == 1.5


def test_a_file_quiet_for_settle_is_settled() -> None:
    assert wait_s(written(2.0), None, NOW, POLICY, 0) == 0


def test_a_set_back_mtime_does_not_make_a_file_look_settled() -> None:
    assert wait_s(written(86_400, inode_changed_ago=0.5), None, NOW, POLICY, 0) == 1.5


def test_a_file_from_the_future_settles_over_two_of_our_looks() -> None:
    stat = written(-3_600)
    assert wait_s(stat, None, NOW, POLICY, 0) == 2.0
    assert wait_s(stat, Look(stat, NOW.ours_s - 2.0), NOW, POLICY, 0) == 0


def test_a_look_at_another_stat_proves_nothing() -> None:
    earlier = Look(written(-3_600), NOW.ours_s - 100)
    assert wait_s(written(-3_601), earlier, NOW, POLICY, 0) == 2.0


def test_min_age_is_counted_from_the_mtime() -> None:
    assert wait_s(written(10, inode_changed_ago=10), None, NOW, POLICY, 30) == 20


def test_a_broken_file_waits_for_settle_max_unless_it_changes() -> None:
    stat = written(10)
    broken = Look(stat, NOW.ours_s - 10, broken=True)
    assert wait_s(stat, broken, NOW, POLICY, 0) == 590
    assert wait_s(written(3), broken, NOW, POLICY, 0) == 0


seconds = st.floats(0, 10_000)
stats = st.builds(Stat, st.just(10), st.integers(0, 2_000 * S), st.none(), st.none() | st.integers(0, 2_000 * S))


@given(stats, st.none() | st.builds(Look, stats, seconds), seconds, seconds)
def test_what_was_touched_long_ago_is_settled_without_asking_for_each_file(
    stat: Stat, earlier: Look | None, settle_s: float, min_age_s: float
) -> None:
    policy = SettlePolicy(settle_s, settle_max_s=20_000)
    long_ago_ns = surely_settled_ns(NOW, policy, min_age_s)
    if max(stat.mtime_ns, stat.ctime_ns or 0) <= long_ago_ns:
        assert wait_s(stat, earlier, NOW, policy, min_age_s) <= 1e-9  # a nanosecond is lost in the division


@given(st.floats(1, 10_000), seconds)
def test_long_ago_is_no_longer_ago_than_it_has_to_be(settle_s: float, min_age_s: float) -> None:
    policy = SettlePolicy(settle_s, settle_max_s=20_000)
    later = Stat(10, surely_settled_ns(NOW, policy, min_age_s) + 1_000)
    assert wait_s(later, None, NOW, policy, min_age_s) > 0


def test_an_unfinished_file_may_come_after_settle_max() -> None:
    assert not may_come_unfinished(written(599), None, NOW, POLICY)
    assert may_come_unfinished(written(600), None, NOW, POLICY)


def test_a_look_begins_anew_when_anything_moved() -> None:
    first = look_again(written(1), None, NOW)
    assert look_again(written(1), first, Moment(NOW.source_ns, 60.0)) is first
    assert look_again(written(2), first, Moment(NOW.source_ns, 60.0)).since_s == 60.0


TIMES = st.integers(-(2**62), 2**62)


@given(TIMES, TIMES, TIMES, st.floats(0, 1e6))
def test_any_clock_gives_a_finite_wait_that_ends(mtime_ns: int, ctime_ns: int, now_ns: int, ours_s: float) -> None:
    stat = Stat(1, mtime_ns, 1, ctime_ns)
    moment = Moment(now_ns, ours_s)
    assert quiet_s(stat, None, moment) >= 0
    first = look_again(stat, None, moment)
    later = Moment(now_ns, ours_s + POLICY.settle_s + 1)  # a source whose clock stands still
    assert wait_s(stat, first, later, POLICY, 0) == 0
