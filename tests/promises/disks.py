"""Promises 7 and 11, broken: what the owner deleted, and disks in trouble."""

from __future__ import annotations

from tests.promises.breach import Breach

_ROUND = "tests/sync/test_round.py"

OWNER = (
    Breach(
        7,
        "what the owner deleted comes back",
        "forged/sync/homecheck.py",
        "    await doors.store.manifest.entomb(name, paths, doors.clock.now_ns())\n",
        "    await doors.store.manifest.forget(name, paths)\n",
        ("tests/sync/test_verify.py::test_a_file_deleted_at_home_is_not_brought_back",),
    ),
    Breach(
        7,
        "what a failing disk has lost counts as deleted",
        "forged/sync/homecheck.py",
        "    if await flags.trouble(name) is not None:\n",
        "    if False:\n",
        ("tests/sync/test_verify.py::test_what_a_failing_disk_has_lost_comes_home_again",),
    ),
    Breach(
        7,
        "what was asked for again stays deleted",
        "forged/sync/homecheck.py",
        "    if doors.target.home.redownload_deleted:",
        "    if not doors.target.home:",
        ("tests/sync/test_verify.py::test_with_redownload_deleted_it_comes_back",),
    ),
    Breach(
        7,
        "a home that lost most of its files was emptied by the owner",
        "forged/rules/safety.py",
        "    return Doubt.HOME_VANISHED if missing >= FEW_FILES and missing > PROPORTION * remembered else None",
        "    return None",
        ("tests/sync/test_verify.py::test_many_gone_at_home_at_once_hold_the_target_and_nothing_becomes_a_tombstone",),
    ),
    Breach(
        7,
        "a hold at home is told and tombstones are made all the same",
        "forged/sync/homecheck.py",
        "        await _hold(doors, why, safety.explain_home(len(missing), remembered))\n        return 0\n",
        "        await _hold(doors, why, safety.explain_home(len(missing), remembered))\n",
        ("tests/sync/test_verify.py::test_many_gone_at_home_at_once_hold_the_target_and_nothing_becomes_a_tombstone",),
    ),
    Breach(
        7,
        "who releases what vanished at the source has emptied home as well",
        "forged/daemon/work.py",
        "await check_home(self.doors, believe=not of_the_source)",
        "await check_home(self.doors, believe=True)",
        ("tests/daemon/test_work.py::test_who_releases_what_vanished_at_the_source_has_said_nothing_of_home",),
    ),
    Breach(
        7,
        "a folder that is closed at home was emptied by the owner",
        "forged/destination/regular.py",
        "    except PermissionError:\n        return True\n",
        "    except PermissionError:\n        return False\n",
        ("tests/destination/test_landing.py",),
    ),
    Breach(
        7,
        "tombstones are made under a hold",
        "forged/sync/homecheck.py",
        "    if await flags.hold(name) is not None:",
        "    if await flags.hold(name) is None and believe:",
        ("tests/sync/test_verify.py::test_while_a_target_is_held_nothing_becomes_a_tombstone",),
    ),
)

DISKS = (
    Breach(
        1,
        "names in a file system that has shut down are durable",
        "forged/kit/durable.py",
        '    os.close(os.open(b".", FOLDER, dir_fd=folder))\n',
        "",
        ("tests/soak/test_disks.py::test_names_in_a_file_system_that_has_shut_down_are_never_called_durable",),
    ),
    Breach(
        11,
        "an unmounted destination is filled",
        "forged/destination/root.py",
        "                if known_id is not None and read_marker(root) != known_id:",
        "                if known_id is not None and read_marker(root) not in (known_id, None):",
        (
            "tests/destination/test_root.py",
            "tests/acceptance/test_core.py::test_an_unmounted_destination_is_not_filled",
        ),
    ),
    Breach(
        11,
        "the marker is not remembered",
        "forged/sync/home.py",
        "    if known_id is None:\n        await doors.store.destinations.remember(dest, readiness.id)\n",
        "",
        (f"{_ROUND}::test_another_disk_under_the_same_name_is_never_filled",),
    ),
    Breach(
        11,
        "a disk that is unmounted in the middle is filled",
        "forged/destination/place.py",
        "if read_marker(fds[0]) == known_id else None",
        "if read_marker(fds[0]) else None",
        ("tests/destination/test_root.py::TestLater::test_another_disk_of_ours_in_the_middle_of_a_round_is_not_filled",),
    ),
    Breach(
        11,
        "min_free is not kept",
        "forged/destination/root.py",
        "        if free_bytes < self._min_free_bytes:",
        "        if free_bytes < 0:",
        ("tests/destination/test_root.py",),
    ),
    Breach(
        11,
        "a file that cannot fit is begun",
        "forged/sync/transfer.py",
        "            if entry.stat.size_bytes - offset > room_bytes:",
        "            if entry.stat.size_bytes - offset < 0:",
        (f"{_ROUND}::test_a_file_larger_than_the_room_at_home_stops_no_other",),
    ),
    Breach(
        11,
        "a full disk is trouble with one file",
        "forged/destination/trouble.py",
        "        errno.EFBIG,  # over 4 GiB on FAT",
        "        errno.EFBIG,  # over 4 GiB on FAT\n        errno.ENOSPC,",
        ("tests/destination/test_root.py",),
    ),
    Breach(
        11,
        "require_mount requires nothing",
        "forged/destination/root.py",
        "        if self._policy.require_mount and not is_mounted(self._path):",
        "        if self._policy.require_mount and not self._path:",
        ("tests/destination/test_root.py",),
    ),
    Breach(
        11,
        "a folder that the service's unit binds onto itself is a mount",
        "forged/destination/mounts.py",
        '    return top is not None and mount.device == top.device and mount.root == top.root.rstrip(b"/") + mount.point\n',
        "    return False\n",
        ("tests/destination/test_mounts.py",),
    ),
    Breach(
        11,
        "trouble at home is not shown",
        "forged/daemon/runner.py",
        "        elif error.scope in WAITED_FOR:\n",
        "        elif error.scope not in WAITED_FOR:\n",
        (
            "tests/daemon/test_work.py::test_home_in_trouble_fails_the_round_and_the_next_one_heals_it",
            "tests/daemon/test_runner.py",
        ),
    ),
    Breach(
        11,
        "a target whose home is back stays in trouble",
        "forged/daemon/standing.py",
        "            for scope in (Scope.SOURCE, Scope.DESTINATION, *((Scope.STORE,) if remembers else ())):",
        "            for scope in (Scope.SOURCE,):",
        ("tests/daemon/test_work.py::test_home_in_trouble_fails_the_round_and_the_next_one_heals_it",),
    ),
)

BREACHES = OWNER + DISKS
