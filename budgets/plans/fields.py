"""The columns of a budget's row in a sheet: what each is called, what may stand there, how it is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution import calendar, money
from attribution.exports.sheets import FORMULA_STARTS
from budgets.limits import filters
from budgets.limits.models import CapUnit, Enforcement, PeriodKind, Rollover, Scope
from budgets.plans import points
from budgets.plans.amounts import CellError, Value, amount, day, whole, yes

MOST_WAIT = 60_000
LISTS = filters.FIELDS

Facts = dict[str, str]
Read = Callable[[Value], str]


@dataclass(frozen=True, slots=True)
class Field:
    """A column: its name in the file, how a cell becomes its one way of writing, and what to write."""

    name: str
    read: Read
    help: Any
    example: str = ""
    is_fixed: bool = False  # of a budget that exists it stays for ever
    choices: tuple[str, ...] = ()


def text(value: Value, *, most: int = 128) -> str:
    """Read a text of one line; the apostrophe that guards a formula is taken off again."""
    said = money.text(value) if isinstance(value, Decimal) else value.strip()
    if said.startswith("'") and said[1:].startswith(FORMULA_STARTS):
        said = said[1:]
    if len(said) > most or not said.isprintable():
        raise CellError(
            gettext("The text is longer than %(most)s, or no plain text.") % {"most": most}
        )
    return said


def listed(value: Value) -> str:
    """Read a list of exact texts, each once and always in the same order."""
    found = {text(part, most=filters.LONGEST) for part in str(value).replace("\n", ";").split(";")}
    named = sorted(found - {""})
    if len(named) > filters.MOST:
        raise CellError(gettext("More than %(most)s texts.") % {"most": filters.MOST})
    return "; ".join(named)


def _one_of(known: type[Any]) -> Read:
    """Return how a word of a list is read, whatever its case."""

    def read(value: Value) -> str:
        said = str(value).strip().lower().replace(" ", "_")
        if said not in known.values:
            told = {"value": value, "known": ", ".join(known.values)}
            raise CellError(gettext("“%(value)s” is unknown; known are %(known)s.") % told)
        return said

    return read


def _number(least: int, most: int) -> Read:
    """Return how a whole number within bounds is read."""
    return lambda value: str(whole(value, least=least, most=most))


def _zone(value: Value) -> str:
    if (zone := text(value)) not in available_timezones():
        raise CellError(gettext("Write it as in Europe/Paris or Asia/Shanghai."))
    return zone


def _pattern(value: Value) -> str:
    if (said := text(value)) not in calendar.WEEKS:
        told = {"value": said, "known": ", ".join(calendar.WEEKS)}
        raise CellError(gettext("“%(value)s” is unknown; known are %(known)s.") % told)
    return said


def _address(value: Value) -> str:
    said = text(value, most=254).lower()
    try:
        validate_email(said)
    except ValidationError as error:
        raise CellError(gettext("“%(value)s” is no e-mail address.") % {"value": said}) from error
    return said


def _cap(value: Value) -> str:
    """Read the most that is carried over: 10% or 500 USD; a share of one is percent."""
    if isinstance(value, Decimal):
        is_share = value <= 1
        return f"{money.text(value * 100)}%" if is_share else f"{money.text(amount(value))} USD"
    said = value.strip()
    if said.endswith("%"):
        return f"{money.text(amount(said[:-1]))}%"
    return f"{money.text(amount(said))} USD"


FIELDS = (
    Field("name", text, _("The name of the budget; by it a row finds the budget that runs."), "Marketing 2027", is_fixed=True),
    Field("covers", _one_of(Scope), _("What it covers. Cannot be changed later."), "cost_center", is_fixed=True, choices=tuple(Scope.values)),
    Field("covered", text, _("The department's name, the cost center's code, the key's name or the user; empty for the whole organization."), "MARKETING", is_fixed=True),
    Field("period", _one_of(PeriodKind), _("How often it starts anew. Cannot be changed later."), "month", is_fixed=True, choices=tuple(PeriodKind.values)),
    Field("starts_on", lambda value: day(value).isoformat(), _("The first day of a custom period, for example 2027-01-01."), is_fixed=True),
    Field("ends_on", lambda value: day(value).isoformat(), _("The day after the last of a custom period."), is_fixed=True),
    Field("start_month", _number(1, 12), _("The month in which quarters, years and fiscal years begin, if it is not the usual one."), is_fixed=True),
    Field("week_start", _number(0, 6), _("The day on which weeks begin: 0 is Monday."), is_fixed=True),
    Field("pattern", _pattern, _("Weeks of a fiscal quarter: 4-4-5, 4-5-4 or 5-4-4."), is_fixed=True, choices=tuple(calendar.WEEKS)),
    Field("anchor", lambda value: day(value).isoformat(), _("The first day of a fiscal year of weeks."), is_fixed=True),
    Field("time_zone", _zone, _("Empty: the organization's."), is_fixed=True),
    Field("limit_usd", lambda value: money.text(amount(value)), _("The limit of one period in USD, a plain number such as 1500 or 1500.50."), "1500"),
    Field("enforcement", _one_of(Enforcement), _("What happens at the limit."), "block", choices=tuple(Enforcement.values)),
    Field("wait_ms", _number(0, MOST_WAIT), _("How long a call waits when only open calls stand in its way, in milliseconds."), "2000"),
    Field("shorten", lambda value: "yes" if yes(value) else "no", _("yes: a call gets a shorter answer before it is refused."), "no", choices=("yes", "no")),
    Field("owner", _address, _("The e-mail address of who gets the alerts."), ""),
    Field("approver", _address, _("The e-mail address of who decides about raises."), ""),
    Field("carry", _one_of(Rollover), _("What the next period takes over."), "none", choices=tuple(Rollover.values)),
    Field("carry_at_most", _cap, _("The most that is carried over: 500 USD or 10%; empty: everything."), ""),
    Field("thresholds", lambda value: points.written(points.read(value)), _("When people are told: 50%; 80%; 500 USD; forecast 100%; burn 3x/24h."), "80%; 100%; forecast 100%"),
    *(
        Field(name, listed, _("Counts only these, separated by semicolons; empty: all."), is_fixed=True)
        for name in LISTS
    ),
)  # fmt: skip
BY_NAME: Mapping[str, Field] = {field.name: field for field in FIELDS}
REQUIRED = ("name", "limit_usd")
NOTE = "reason"
COLUMNS = (*BY_NAME, NOTE)
USUAL: Facts = {
    **dict.fromkeys(BY_NAME, ""),
    "period": PeriodKind.MONTH.value,
    "enforcement": Enforcement.WARN.value,
    "wait_ms": "2000",
    "shorten": "no",
    "carry": Rollover.NONE.value,
}


def cap_of(said: str) -> tuple[Decimal | None, str]:
    """Return amount and unit of what a cell says is carried over at most."""
    if not said:
        return None, CapUnit.PERCENT
    is_share = said.endswith("%")
    number = said.removesuffix("%").removesuffix(" USD")
    return Decimal(number), CapUnit.PERCENT if is_share else CapUnit.USD
