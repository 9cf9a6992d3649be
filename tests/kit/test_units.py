"""Sizes, rates and durations: what people write, what they read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.kit import units


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0B", 0),
        ("512B", 512),
        ("1kB", 1_000),
        ("1KB", 1_000),
        ("1KiB", 1_024),
        ("50MB", 50_000_000),
        ("64MiB", 67_108_864),
        ("1GB", 10**9),
        ("1.5 GB", 1_500_000_000),
        (" 2TiB ", 2 * 2**40),
        ("0.3KiB", 307),
    ],
)
def test_sizes_are_decimal_or_binary_by_their_unit(text: str, size_bytes: int) -> None:
    assert units.parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text", ["", "50", "MB", "-1MB", "50mb", "50Mb", "50Mbit", "1e3MB", "1,5GB", "٣MB", "1_000B", "5MB/s", "1GB1MB", "9" * 99 + "B"]
)
def test_what_is_no_size_is_refused_with_the_allowed_units(text: str) -> None:
    with pytest.raises(ValueError, match="B, kB, MB, GB, TB or KiB"):
        units.parse_size(text)


@pytest.mark.parametrize("text", ["9223372036854775808B", "9223372.036854776TB", "9999999999999999999.9TB"])
def test_a_size_that_no_file_can_have_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="more than any file can have"):
        units.parse_size(text)


@given(st.integers(0, 2**63 - 1))
def test_a_formatted_size_reads_back_as_itself(size_bytes: int) -> None:
    assert units.parse_size(units.format_size(size_bytes)) == size_bytes


@given(st.integers(1, 999), st.sampled_from(["B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"]))
def test_a_size_is_formatted_in_few_digits(number: int, unit: str) -> None:
    written = f"{number}{unit}"
    assert len(units.format_size(units.parse_size(written))) <= len(written) + 1


def test_rates_are_sizes_per_second_or_off() -> None:
    assert units.parse_rate("20MB/s") == 20_000_000
    assert units.parse_rate("1 MiB / s") == 2**20
    assert units.parse_rate("off") is None


@pytest.mark.parametrize("text", ["", "20MB", "20MB/h", "20Mbit/s", "0MB/s", "unlimited", "/s", "-1MB/s"])
def test_what_is_no_rate_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match='"20MB/s", or "off"'):
        units.parse_rate(text)


@given(st.none() | st.integers(1, 2**50))
def test_a_formatted_rate_reads_back_as_itself(bytes_per_s: int | None) -> None:
    assert units.parse_rate(units.format_rate(bytes_per_s)) == bytes_per_s


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [
        ("0s", 0.0),
        ("500ms", 0.5),
        ("2s", 2.0),
        ("1h30m", 5400.0),
        ("24h", 86_400.0),
        ("7d", 604_800.0),
        ("1.5h", 5400.0),
        ("1m1ms", 60.001),
    ],
)
def test_durations_add_up_their_parts(text: str, duration_s: float) -> None:
    assert units.parse_duration(text) == duration_s


@pytest.mark.parametrize(
    "text", ["", "30", "s", "-1s", "1h 30m", "5min", "1s1s", "1.s", "1..5s", "one day", "1H", "0", "9999999999d"]
)
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match='"30s", "1h30m" or "7d"'):
        units.parse_duration(text)


@pytest.mark.parametrize("text", ["10000000d", "9999999.999999999d", "9999999d24h", "999999999h1d"])
def test_a_duration_that_could_not_be_written_again_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="longer than anything lasts"):
        units.parse_duration(text)
    assert units.format_duration(units.parse_duration("9999999d23h59m59s999ms")) == "9999999d23h59m59s999ms"


@given(st.integers(0, 10**12))
def test_a_formatted_duration_reads_back_as_itself(milliseconds: int) -> None:
    assert units.parse_duration(units.format_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.text(alphabet="0123456789.kKMGTiBms dh/offx", max_size=20))
def test_any_text_is_either_read_or_refused_with_a_value_error(text: str) -> None:
    for parse in (units.parse_size, units.parse_rate, units.parse_duration):
        try:
            value = parse(text)
        except ValueError:
            continue
        assert value is None or value >= 0


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_960, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (1_400_000_000, "1.4 GB"),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_people_read_sizes_in_three_digits(size_bytes: int, shown: str) -> None:
    assert units.human_size(size_bytes) == shown


def test_people_read_rates_in_bytes_per_second() -> None:
    assert units.human_rate(12_500_000) == "12.5 MB/s"
    assert units.human_rate(None) == "off"


@pytest.mark.parametrize(
    ("duration_s", "shown"),
    [
        (0, "0 ms"),
        (0.35, "350 ms"),
        (0.9996, "1.0 s"),
        (4.2, "4.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3599.7, "1 h"),
        (7500, "2 h 5 min"),
        (86_399, "1 d"),
        (273_600, "3 d 4 h"),
    ],
)
def test_people_read_durations_in_two_units(duration_s: float, shown: str) -> None:
    assert units.human_duration(duration_s) == shown
