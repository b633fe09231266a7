"""The forms of plans: a file to read, and the percentage of a copy."""

from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from attribution.imports import workbooks
from attribution.imports.workbooks import Table, WorkbookError
from attribution.tenancy.forms import PlainDecimalField
from budgets.limits.forms import DayInput
from budgets.plans.copies import Change, Rounding

MOST_ROWS = 10_000
ENCODINGS = [
    ("cp1252", _("Western European (Windows-1252)")),
    ("gb18030", _("Chinese (GB18030)")),
]
REASONS = {
    "too_big": _("The file is larger than 10 MB."),
    "too_many_rows": _("The file has more than 10,000 rows: split it."),
    "too_many_columns": _("The file has cells further right than any column of ours."),
    "old_format": _("This is an old Excel file: save it as XLSX or CSV."),
    "other_format": _("This is another kind of office file: save it as XLSX or CSV."),
    "unknown_encoding": _("The letters of this file cannot be read: save it as XLSX or CSV UTF-8."),
    "broken": _("The file is damaged and cannot be read."),
}


class ImportForm(forms.Form):
    """A file with budgets; reading it writes nothing."""

    file = forms.FileField(
        label=_("File"),
        widget=forms.FileInput(attrs={"accept": ".xlsx,.csv"}),
        help_text=_("XLSX or CSV with the columns of the template, at most 10,000 rows."),
    )
    begins_on = forms.DateField(
        label=_("New limits act from"),
        required=False,
        widget=DayInput,
        help_text=_("Empty: at once. A budget that is new begins at once in any case."),
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        required=False,
        help_text=_("For limits whose row states none, for example: budget 2027, board of 3 May."),
    )
    encoding = forms.ChoiceField(
        label=_("Letters of a CSV"),
        choices=ENCODINGS,
        help_text=_("Only for a CSV file that is not UTF-8."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        is_chinese = (get_language() or "").startswith("zh")
        self.fields["encoding"].initial = "gb18030" if is_chinese else "cp1252"

    def clean(self) -> dict[str, Any]:
        """Read the file, or say why it cannot be read."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        upload = values.get("file")
        if upload is None:
            return values
        if upload.size > workbooks.MOST_BYTES:
            raise ValidationError({"file": str(REASONS["too_big"])})
        try:
            values["table"] = self._table(upload.read(), values.get("encoding") or "cp1252")
        except WorkbookError as error:
            raise ValidationError({"file": str(REASONS[str(error)])}) from error
        return values

    def _table(self, content: bytes, encoding: str) -> Table:
        return workbooks.read(content, fallback=encoding, most_rows=MOST_ROWS + 1)


class CopyForm(forms.Form):
    """By how much limits change, to what they are rounded, and from when they act."""

    percent = PlainDecimalField(
        label=_("Change in percent"),
        min_value=Decimal(-100),
        max_value=Decimal(1000),
        max_digits=9,
        decimal_places=4,
        initial=Decimal(0),
        help_text=_("10 raises every limit by a tenth, -5 lowers it by a twentieth."),
    )
    rounding = forms.ChoiceField(
        label=_("Round to"),
        choices=[
            (Rounding.CENT, _("cents")),
            (Rounding.ONE, _("whole dollars")),
            (Rounding.TEN, _("tens")),
            (Rounding.HUNDRED, _("hundreds")),
        ],
    )
    begins = forms.ChoiceField(
        label=_("New limits act from"),
        choices=[("next", _("the next period of each budget")), ("day", _("this day:"))],
    )
    begins_on = forms.DateField(label=_("Day"), required=False, widget=DayInput)
    reason = forms.CharField(label=_("Reason"), max_length=200)

    def clean(self) -> dict[str, Any]:
        """Ask for the day where one is meant."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if values.get("begins") == "day" and values.get("begins_on") is None:
            self.add_error("begins_on", gettext("Name the day."))
        return values

    @property
    def change(self) -> Change:
        """Return how limits change."""
        values = self.cleaned_data
        day: date | None = values["begins_on"] if values["begins"] == "day" else None
        return Change(values["percent"], Rounding(values["rounding"]), day)
