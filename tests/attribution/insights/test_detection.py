"""Anomalies are found in real calls, told once, and follow late data."""

from datetime import timedelta
from decimal import Decimal

from attribution.insights import detection
from attribution.insights.models import Anomaly, Verdict
from attribution.isolation.transaction import tenant
from tests.attribution.insights.days import MODEL, Days, usd
from tests.factories import make_user


def test_forty_to_two_hundred_is_found_at_the_next_evaluation(committed: None) -> None:
    days = Days()
    days.every_day(21, "40")
    days.look()
    assert days.by_day() == []

    days.spend(0, "200")
    days.look()

    (found,) = days.by_day()
    assert (found.expected, found.actual, found.impact) == usd("40", "200", "160")
    assert found.cost_center == days.center("RND")
    assert (found.model, found.status) == (MODEL, Verdict.NEW)
    assert found.starts_at == days.moment(0) - timedelta(seconds=1)
    assert found.is_alerting


def test_a_complete_day_is_found_just_so(committed: None) -> None:
    days = Days(zone="Europe/Paris")
    days.every_day(28, lambda ago: "200" if ago == 1 else "40")

    days.look()

    (found,) = days.by_day()
    assert (found.expected, found.actual, found.impact) == usd("40", "200", "160")
    assert found.ends_at == days.moment(0) - timedelta(seconds=1)


def test_four_hundred_every_monday_is_usual_from_the_fourth_on(committed: None) -> None:
    days = Days()
    weekday = (days.today - timedelta(days=1)).weekday()  # yesterday is "Monday", the fifth

    def cost(ago: int) -> str:
        return "400" if (days.today - timedelta(days=ago)).weekday() == weekday else "50"

    days.every_day(29, cost)

    days.look()

    assert days.by_day() == []  # of the last 14 days, with the fourth and the fifth


def test_the_third_monday_is_still_an_anomaly(committed: None) -> None:
    days = Days()
    weekday = (days.today - timedelta(days=1)).weekday()

    def cost(ago: int) -> str:
        return "400" if (days.today - timedelta(days=ago)).weekday() == weekday else "50"

    days.every_day(15, cost)

    days.look()

    assert [(row.expected, row.actual) for row in days.by_day()] == [usd("50", "400")]


def test_two_centers_that_offset_each_other_are_both_found(committed: None) -> None:
    days = Days()
    days.every_day(21, lambda ago: "500" if ago == 1 else "100", center="RND")
    days.every_day(21, lambda ago: "100" if ago == 1 else "500", center="SALES")

    days.look()

    found = {row.cost_center.code: row.impact for row in days.by_day() if row.cost_center}
    assert found == {"RND": Decimal(400), "SALES": Decimal(-400)}


def test_a_top_up_is_no_anomaly(committed: None) -> None:
    days = Days()
    days.every_day(21, "40")
    days.top_up("1000", ago=1)
    days.top_up("1000")

    days.look()

    assert days.by_day() == []


def test_calls_without_a_cost_center_are_a_series_too(committed: None) -> None:
    days = Days()
    days.every_day(21, lambda ago: "200" if ago == 1 else "40", center="")

    days.look()

    assert [(row.cost_center_id, row.impact) for row in days.by_day()] == [(None, Decimal(160))]


def test_days_in_a_row_are_one_anomaly_and_the_next_day_joins_it(committed: None) -> None:
    days = Days()
    days.every_day(24, lambda ago: "200" if ago in {2, 3} else "40" if ago > 1 else "0")
    days.look(at=days.moment(1))
    (first,) = days.by_day()
    assert first.impact == 320
    assert first.ends_at - first.starts_at == timedelta(days=2)

    days.spend(1, "210")
    days.look()

    (found,) = days.by_day()
    assert found.pk == first.pk
    assert (found.expected, found.actual, found.impact) == usd("120", "610", "490")
    assert found.ends_at - found.starts_at == timedelta(days=3)


def test_up_and_down_do_not_cancel_out(committed: None) -> None:
    days = Days()
    days.every_day(24, lambda ago: {2: "100", 1: "20"}.get(ago, "60"))

    days.look()

    assert [row.impact for row in days.by_day()] == [*usd("40", "-40")]


def test_a_day_that_has_not_ended_is_never_too_little(committed: None) -> None:
    days = Days()
    days.every_day(21, "100")
    days.spend(0, "1")

    days.look()

    assert days.by_day() == []


def test_judging_again_changes_nothing(committed: None) -> None:
    days = Days()
    days.every_day(21, lambda ago: "200" if ago == 1 else "40", **days.key())
    before = [row.__dict__ | {"_state": None} for row in days.look()]
    assert before

    with tenant(days.organization.pk):
        changed = detection.judge_days(at=days.at) + detection.judge_hours(at=days.at)

    assert changed == 0
    assert [row.__dict__ | {"_state": None} for row in days.anomalies()] == before


def test_late_data_changes_the_figures(committed: None) -> None:
    days = Days()
    days.every_day(21, lambda ago: "200" if ago == 1 else "40")
    days.look()
    (first,) = days.by_day()

    days.spend(1, "33.5")
    days.look()

    (found,) = days.by_day()
    assert found.pk == first.pk
    assert (found.actual, found.impact) == (Decimal("233.5"), Decimal("193.5"))


def test_late_data_that_makes_a_day_usual_takes_the_anomaly_back(committed: None) -> None:
    days = Days()
    days.every_day(21, lambda ago: "5" if ago == 1 else "40")
    days.look()
    (first,) = days.by_day()
    assert first.impact == -35

    days.spend(1, "34")
    days.look()

    (found,) = days.by_day()
    assert (found.pk, found.status) == (first.pk, Verdict.FALSE_POSITIVE)
    assert found.impact == -1
    assert found.status_by is None

    days.spend(1, "100")
    days.look()

    (again,) = days.by_day()
    assert (again.pk, again.status) == (first.pk, Verdict.NEW)
    assert again.impact == 99


def test_expected_days_leave_what_later_days_are_compared_with(committed: None) -> None:
    days = Days()
    days.every_day(22, lambda ago: "200" if 2 <= ago <= 7 else "40")
    days.look(at=days.moment(1))
    (found,) = days.by_day()
    with tenant(days.organization.pk):
        Anomaly.objects.filter(pk=found.pk).update(
            status=Verdict.EXPECTED, status_by=make_user(), status_at=days.at
        )

    days.spend(0, "200")
    days.look()

    after = days.by_day()
    assert [row.status for row in after] == [Verdict.EXPECTED, Verdict.NEW]
    assert (after[1].expected, after[1].impact) == usd("40", "160")
    assert after[0].impact == found.impact


def test_what_follows_days_that_were_expected_is_a_new_anomaly(committed: None) -> None:
    days = Days()
    days.every_day(22, lambda ago: "200" if ago == 2 else "40" if ago > 1 else "0")
    days.look(at=days.moment(1))
    (found,) = days.by_day()
    with tenant(days.organization.pk):
        Anomaly.objects.filter(pk=found.pk).update(
            status=Verdict.EXPECTED, status_by=make_user(), status_at=days.at
        )

    days.spend(1, "200")
    days.look()

    assert [row.status for row in days.by_day()] == [Verdict.EXPECTED, Verdict.NEW]


def test_thirteen_days_are_too_few(committed: None) -> None:
    days = Days()
    days.every_day(13, "40")
    days.spend(0, "400")
    days.look()
    assert days.by_day() == []

    days.spend(14, "40")
    days.look()

    assert [row.impact for row in days.by_day()] == [*usd("360")]


def test_days_without_a_call_since_the_first_one_count_as_zero(committed: None) -> None:
    days = Days()
    days.spend(20, "12")
    days.spend(1, "30")

    days.look()

    assert [(row.expected, row.impact) for row in days.by_day()] == [usd("0", "30")]


def test_the_limits_are_the_organizations(committed: None) -> None:
    days = Days(anomaly_least_usd=Decimal(200), anomaly_alert_usd=Decimal(1000))
    days.every_day(21, lambda ago: "200" if ago == 1 else "40")
    days.every_day(21, lambda ago: "300" if ago == 1 else "40", center="SALES")

    days.look()

    (found,) = days.by_day()
    assert found.impact == 260
    assert not found.is_alerting


def test_an_event_is_told_once_though_day_hour_and_key_show_it(committed: None) -> None:
    days = Days()
    key = days.key()
    days.every_day(21, lambda ago: "200" if ago == 1 else "40", **key)

    found = days.look()

    assert {(row.granularity, str(row.api_key_id or "")) for row in found} == {
        *(("day", ""), ("hour", "")),
        *(("day", key["api_key_id"]), ("hour", key["api_key_id"])),
    }
    assert [row.is_alerting for row in found].count(True) == 1
    assert {row.api_key_name for row in found if row.api_key_id} == {key["api_key_name"]}


def test_an_hour_is_compared_with_the_same_hour_of_other_days(committed: None) -> None:
    days = Days(zone="Asia/Kolkata")
    for ago in range(28, 0, -1):
        days.spend(ago, "100", hour=9)
        days.spend(ago, "60" if ago == 1 else "1", hour=3)

    found = [row for row in days.look() if row.granularity == "hour"]

    (hour,) = found
    assert (hour.expected, hour.actual) == usd("1", "60")
    assert hour.starts_at == days.moment(1, hour=3) - timedelta(seconds=1)
    assert hour.ends_at - hour.starts_at == timedelta(hours=1)
