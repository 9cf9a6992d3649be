"""Promises broken where boxes are reached in other ways than by an agent over SSH: SFTP, containers, folders behind links."""

from __future__ import annotations

from tests.promises.breach import Breach

_PLACES = "forged/rules/places.py"
_PLACED = "tests/sources/test_placed.py"
_SFTP_LIES = "tests/sources/sftp/test_hostile.py"
_DOCKER = "tests/sources/test_docker.py"
_DOCKER_LIES = "tests/sources/test_docker_hostile.py"

BREACHES = (
    Breach(
        2,
        "a folder of two names comes home twice",
        _PLACES,
        "groups.setdefault(place.identity or place.path, [])",
        "groups.setdefault(ask.folder, [])",
        (f"{_PLACED}::test_a_tree_of_two_names_is_listed_once_under_the_first",),
    ),
    Breach(
        2,
        "files come home again when their folder gets another name",
        _PLACES,
        "    return ask.folder not in remembered, ask.elsewhere, linked",
        "    return False, ask.elsewhere, linked",
        ("tests/rules/test_places.py",),
    ),
    Breach(
        4,
        "a root that leads elsewhere in the middle of a listing over SFTP is no matter",
        "forged/sources/sftp/listing.py",
        "        if self._lane.root.real != real:",
        "        if not real:",
        (f"{_SFTP_LIES}::test_a_root_that_moves_in_the_middle_of_a_listing_makes_it_none",),
    ),
    Breach(
        4,
        "a folder that was refused is an empty one",
        "forged/sources/placed_listing.py",
        "        if problems:\n            yield ListingPart((), tuple(problems))\n",
        "",
        (f"{_PLACED}::test_a_link_out_of_the_usual_places_is_refused_loudly_in_every_listing",),
    ),
    Breach(
        5,
        "what runs in a container outlives a forged that was killed",
        "forged/sources/docker/source.py",
        "launch.shell_command(lease_s)",
        "launch.shell_command()",
        (f"{_DOCKER}::test_a_killed_forged_leaves_nothing_behind",),
    ),
    Breach(
        6,
        "a box's link leads to any hidden folder",
        _PLACES,
        'is_below(real, place) and b"/." not in real[len(place) :]',
        "is_below(real, place)",
        ("tests/rules/test_places.py",),
    ),
    Breach(
        6,
        "the real path of an SFTP server may climb",
        "forged/sources/sftp/answers.py",
        ' or not {b"", b".", b".."}.isdisjoint(parts)',
        "",
        (f"{_SFTP_LIES}::test_a_server_that_lies_is_cut_off",),
    ),
    Breach(
        6,
        "the lanes of a source may be in two containers",
        "forged/sources/docker/container.py",
        "self._found.id if self._found else self._name",
        "self._name",
        (f"{_DOCKER}::test_all_lanes_of_a_source_are_in_one_container",),
    ),
    Breach(
        10,
        "names of a folder without end are kept",
        "forged/sources/sftp/scan.py",
        "        if self._held_bytes > AHEAD_BYTES + MOST_BYTES:",
        "        if self._held_bytes < 0:",
        (f"{_SFTP_LIES}::test_many_names_in_the_wrong_order_wait_as_they_came",),
    ),
    Breach(
        10,
        "a message of an engine may be of any length",
        "forged/sources/docker/session.py",
        "        if len(self._parser._buf) <= MOST_MESSAGE_BYTES:",
        "        if len(self._parser._buf) >= 0:",
        (f"{_DOCKER_LIES}::test_a_message_without_end_is_no_message",),
    ),
    Breach(
        12,
        "an engine that hangs is waited for",
        "forged/sources/docker/container.py",
        "            async with in_our_words(url), asyncio.timeout(ANSWER_S):\n                await agree(client)",
        "            async with in_our_words(url):\n                await agree(client)",
        (f"{_DOCKER_LIES}::test_an_engine_that_hangs_at_any_step_is_given_up",),
    ),
    Breach(
        13,
        "the password of an engine's address is shown",
        "forged/sources/docker/engine.py",
        '    return masked(shown(said.strip().encode("utf-8", "surrogateescape")[:MOST_WORDS_BYTES]))',
        '    return shown(said.strip().encode("utf-8", "surrogateescape")[:MOST_WORDS_BYTES])',
        (f"{_DOCKER_LIES}::test_an_address_that_leads_nowhere_is_an_error_in_our_words",),
    ),
)
