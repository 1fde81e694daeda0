"""When a message becomes ready is a time that Redis can keep."""

from datetime import UTC, datetime

import pytest

from townpost.errors import SettingError
from townpost.patterns.contract import Due

TEN_YEARS = 315_360_000


@pytest.mark.parametrize("delay", [None, 0, 0.5, TEN_YEARS])
def test_a_delay_of_up_to_ten_years_is_taken(delay: float | None) -> None:
    assert Due(delay=delay).delay == delay


@pytest.mark.parametrize("delay", [-0.1, TEN_YEARS + 1, float("nan"), float("inf")])
def test_any_other_delay_is_refused(delay: float) -> None:
    with pytest.raises(SettingError, match=r"^a delay is between 0 and 315,360,000 seconds, not "):
        Due(delay=delay)


def test_a_moment_with_a_time_zone_is_taken() -> None:
    moment = datetime(9000, 12, 31, tzinfo=UTC)

    assert Due(at=moment).at == moment


@pytest.mark.parametrize("moment", [datetime(2030, 1, 1), datetime(9001, 1, 1, tzinfo=UTC)])  # noqa: DTZ001 - what is refused
def test_a_moment_without_a_time_zone_or_after_9000_is_refused(moment: datetime) -> None:
    with pytest.raises(SettingError, match=r"^a moment has a time zone and a year up to 9000, not "):
        Due(at=moment)
