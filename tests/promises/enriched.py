"""Promises 2, 5, 6 and 10, broken where files are looked into: sidecars that others edit, workers, and exiftool."""

from __future__ import annotations

from tests.promises.breach import Breach

_MERGING = "forged/media/xmp/merging.py"
_MERGED = "tests/media/xmp/test_merging.py"
_SIDECARS = "tests/media/xmp/test_sidecars.py"
_CONFINE = "forged/media/worker/confine.py"
_CONFINED = "tests/media/worker/test_confine.py"
_WORKER = "tests/media/worker/test_worker.py"

BREACHES = (
    Breach(
        2,
        "a person's words in a sidecar are written over",
        _MERGING,
        "    return mark is None if not now else mark == hashed(list(now))",
        "    return bool(now) or mark is None",
        (f"{_MERGED}::test_a_persons_words_are_never_changed", _SIDECARS),
    ),
    Breach(
        2,
        "a tag that a person took out comes back",
        _MERGING,
        "    new = [tag for tag in wanted if tag not in here and tag not in former]\n    return kept + [tag for tag in new if not",
        "    new = [tag for tag in wanted if tag not in here]\n    return kept + [tag for tag in new if True or not",
        (f"{_MERGED}::test_their_tags_stay_and_what_they_took_out_stays_out",),
    ),
    Breach(
        2,
        "what exiftool loses of other programs' words is not noticed",
        "forged/media/xmp/sidecars.py",
        "    gone = +lost\n",
        "    gone = Counter[tuple[str, str]]()\n",
        (f"{_SIDECARS}::test_what_exiftool_would_lose_is_not_written",),
    ),
    Breach(
        6,
        "exiftool opens what is no sidecar",
        "forged/media/xmp/sidecars.py",
        '    except NotXmp as e:\n        return SidecarTrouble(f"what lies',
        '    except NotXmp as e:\n        return NOTHING if e else SidecarTrouble(f"what lies',
        (f"{_SIDECARS}::test_what_is_no_sidecar_is_left_alone_and_never_reaches_exiftool",),
    ),
    Breach(
        6,
        "a prompt gives orders to exiftool",
        "forged/media/xmp/tool.py",
        "any(end in argument for end in _LINE_ENDS)",
        "not _LINE_ENDS",
        (f"{_SIDECARS}::test_no_argument_becomes_two",),
    ),
    Breach(
        6,
        "a worker may take all memory",
        _CONFINE,
        "        (resource.RLIMIT_AS, limits.address_bytes),\n",
        "",
        (f"{_CONFINED}::test_its_limits", f"{_WORKER}::test_each_way_to_die_has_its_words"),
    ),
    Breach(
        6,
        "a worker may open sockets and start programs",
        "forged/media/worker/seccomp.py",
        "for number in (*architecture.forbidden, *SINCE_424):",
        "for number in SINCE_424:",
        (f"{_CONFINED}::test_calls_are_out_of_reach",),
    ),
    Breach(
        6,
        "a picture may have any number of pixels",
        "forged/media/pictures/still.py",
        "    if width * height > MOST_PIXELS:",
        "    if width * height > MOST_PIXELS << 20:",
        ("tests/media/pictures/test_pictures.py::test_too_many_pixels_are_refused_by_the_header",),
    ),
    Breach(
        10,
        "a compressed text is inflated without a bound",
        "forged/media/blocks/inflate.py",
        "    if len(found) > MOST_TEXT_BYTES:",
        "    if len(found) > MOST_TEXT_BYTES << 9:",
        ("tests/media/blocks/test_hostile.py::test_a_bomb_takes_no_more_than_the_largest_text",),
    ),
    Breach(
        10,
        "what many targets have found piles up before a slow state",
        "forged/sync/enrichment.py",
        "                    linking = await self._pages.looked(await enrich(self.rooms, taken.file, taken.beside))\n",
        "                    looked = await enrich(self.rooms, taken.file, taken.beside)\n"
        "                linking = await self._pages.looked(looked)\n",
        ("tests/sync/test_enrich.py::test_what_many_targets_have_found_does_not_pile_up_before_a_slow_state",),
    ),
    Breach(
        5,
        "a file is given up for trouble of the state",
        "forged/sync/pages.py",
        "        await self._put_back()\n        busy =",
        "        self._left.clear()\n        busy =",
        ("tests/sync/test_enrich.py::test_a_state_that_not_even_takes_them_back_gets_no_file_given_up",),
    ),
)
