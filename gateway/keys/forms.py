"""The forms of an API key: what it may do, for how long its old secret goes on, and its end."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.forms import ScopedForm
from attribution.tenancy.models import CostCenter
from gateway.keys import scopes
from gateway.keys.models import ApiKey

SCOPES = [
    (scopes.CALL, _("make calls")),
    (scopes.COSTS, _("read costs of the cost centers it may book to")),
    (scopes.INGEST, _("report calls made elsewhere")),
    (scopes.STREAM, _("listen to the live stream of the cost centers it may book to")),
]
OVERLAPS = {
    "0": (_("not at all: the old secret ends at once"), timedelta(0)),
    "1h": (_("1 hour"), timedelta(hours=1)),
    "24h": (_("24 hours"), timedelta(hours=24)),
    "7d": (_("7 days"), timedelta(days=7)),
}
LONGEST_NAME = 128


class NamesField(forms.CharField):
    """A list of names, written with commas."""

    def prepare_value(self, value: Any) -> Any:
        """Write a stored list."""
        return ", ".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        """Read what was written, each name once."""
        names = [name.strip() for name in str(super().clean(value)).split(",")]
        if any(len(name) > LONGEST_NAME for name in names):
            raise ValidationError(gettext("A name has at most 128 characters."))
        return list(dict.fromkeys(name for name in names if name))


class ScopesField(forms.MultipleChoiceField):
    """What a key may do; everything is kept as an empty list, as keys made before scopes have it."""

    widget = forms.CheckboxSelectMultiple

    def prepare_value(self, value: Any) -> Any:
        """Tick everything for a key that may do everything."""
        return list(scopes.ALL) if value == [] else value

    def clean(self, value: Any) -> Any:
        """Return the scopes that were ticked."""
        chosen = super().clean(value)
        return [] if set(chosen) == set(scopes.ALL) else chosen


class KeyForm(ScopedForm):
    """What a key may do and where its calls are booked."""

    scopes = ScopesField(
        label=_("may"),
        choices=SCOPES,
        initial=[scopes.CALL],
        required=False,
        help_text=_("None chosen: everything."),
    )
    allowed_cost_centers = NamesField(
        label=_("allowed cost centers"),
        required=False,
        help_text=_("Codes with commas, for example RND, SALES. Empty: all."),
    )
    allowed_models = NamesField(
        label=_("allowed models"),
        required=False,
        help_text=_(
            "Names or patterns with commas, for example gpt-4o-mini, claude-*. Empty: all."
        ),
    )

    def clean_allowed_cost_centers(self) -> list[str]:
        """Refuse codes that nobody knows."""
        codes: list[str] = self.cleaned_data["allowed_cost_centers"]
        known = set(self.centers().filter(code__in=codes).values_list("code", flat=True))
        if unknown := [code for code in codes if code not in known]:
            raise ValidationError(
                gettext("There is no cost center %(code)s.") % {"code": unknown[0]}
            )
        return codes

    def centers(self) -> QuerySet[CostCenter]:
        """Return the cost centers that may be named."""
        return CostCenter.objects.all()

    def clean(self) -> dict[str, Any]:
        """Refuse a pin on nothing, and a default that the list leaves out."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        center, codes = values.get("cost_center"), values.get("allowed_cost_centers")
        if values.get("is_cost_center_pinned") and center is None:
            self.add_error("cost_center", gettext("Choose the cost center that is pinned."))
        if center is not None and codes and center.code not in codes:
            text = gettext("List %(code)s too: calls that name no cost center go there.")
            self.add_error("allowed_cost_centers", text % {"code": center.code})
        if values.get("is_user_pinned") and not values.get("user_name"):
            self.add_error("user_name", gettext("Name the user that is pinned."))
        return values


def _plain(field: Any, **kwargs: Any) -> forms.Field | None:
    """Return the form field of a column; relations have rows only within an organization."""
    return None if field.is_relation else field.formfield(**kwargs)


class KeyPageForm(KeyForm):
    """A key on its own page, for the cost centers of the person who fills it in."""

    cost_center: "forms.ModelChoiceField[CostCenter]" = forms.ModelChoiceField(
        None,
        label=_("cost center"),
        required=False,
        empty_label=_("the organization's default"),
        help_text=_("Where calls are booked that name none."),
    )

    class Meta:
        formfield_callback = _plain
        model = ApiKey
        fields = (
            *("name", "notes", "scopes", "allowed_models"),
            *("cost_center", "is_cost_center_pinned", "allowed_cost_centers"),
            *("user_name", "is_user_pinned", "enrich", "is_amount_hidden", "expires_at"),
            *("max_output_tokens", "requests_per_minute", "tokens_per_minute"),
            "concurrent_streams",
        )
        widgets = {
            "notes": forms.Textarea(attrs={"rows": 2}),
            "expires_at": forms.DateTimeInput(
                attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
            ),
        }

    def __init__(self, request: OrganizationRequest, *args: Any, **kwargs: Any) -> None:
        self._centers = access.cost_centers(request)
        self._is_narrowed = access.is_narrowed(request)
        super().__init__(*args, **kwargs)
        offered = self._centers.filter(is_active=True).order_by("code")
        self.fields["cost_center"].queryset = offered  # type: ignore[attr-defined]  # a ModelChoiceField
        self.fields["scopes"].required, self.fields["scopes"].help_text = True, ""
        self.fields["expires_at"].help_text = gettext("In %(zone)s. Empty: it does not expire.") % {
            "zone": request.organization.time_zone
        }

    def centers(self) -> QuerySet[CostCenter]:
        """Return the cost centers of this person."""
        return self._centers

    def clean(self) -> dict[str, Any]:
        """Keep the keys of somebody responsible for a part within that part."""
        values = super().clean()
        is_bound = values.get("is_cost_center_pinned") or values.get("allowed_cost_centers")
        if self._is_narrowed and values.get("cost_center") is None:
            self.add_error("cost_center", gettext("Choose one of your cost centers."))
        elif self._is_narrowed and not is_bound:
            text = gettext(
                "Pin the cost center or list the allowed ones: other parts are not yours."
            )
            self.add_error("is_cost_center_pinned", text)
        return values

    def clean_expires_at(self) -> Any:
        """Refuse an end that is over, unless it was there before."""
        ends = self.cleaned_data["expires_at"]
        if ends is not None and "expires_at" in self.changed_data and ends <= timezone.now():
            raise ValidationError(gettext("This is over already."))
        return ends


class RotationForm(forms.Form):
    """How long the old secret goes on, and how long the new one lives."""

    overlap = forms.ChoiceField(
        label=_("The old secret goes on for"),
        choices=[(name, label) for name, (label, _length) in OVERLAPS.items()],
        initial="24h",
        widget=forms.RadioSelect,
    )
    expires_at = forms.DateTimeField(
        label=_("The new secret expires"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text=_("Empty: it does not expire."),
    )

    def __init__(self, latest: datetime | None, *args: Any, **kwargs: Any) -> None:
        """Take `latest`, the end that this person may not put off; None when they may."""
        self.latest = latest
        super().__init__(*args, **kwargs)
        if latest is not None:
            self.fields["expires_at"].help_text = gettext("Empty: when the old one would have.")

    def clean_expires_at(self) -> Any:
        """Refuse an end that is over, or later than this person may choose."""
        ends = self.cleaned_data["expires_at"] or self.latest
        if ends is not None and ends <= timezone.now():
            raise ValidationError(gettext("This is over already."))
        if ends is not None and self.latest is not None and ends > self.latest:
            raise ValidationError(gettext("Only finance may let this key live longer."))
        return ends

    @property
    def length(self) -> timedelta:
        """Return how long both secrets work."""
        return OVERLAPS[self.cleaned_data["overlap"]][1]


class ConfirmedForm(forms.Form):
    """A name, typed: nobody stops something by a slip."""

    name = forms.CharField(label=_("Name"), max_length=192)

    def __init__(self, expected: str, *args: Any, **kwargs: Any) -> None:
        """Ask for the `expected` name."""
        self.expected = expected
        super().__init__(*args, **kwargs)
        self.fields["name"].widget.attrs |= {"autocomplete": "off", "spellcheck": "false"}
        self.fields["name"].help_text = gettext("Type %(name)s to confirm.") % {"name": expected}

    def clean_name(self) -> str:
        """Compare it."""
        if self.cleaned_data["name"] != self.expected:
            text = gettext("The name is %(name)s.") % {"name": self.expected}
            raise ValidationError(text)
        return self.expected


class RevocationForm(ConfirmedForm):
    """The name of the key: a revoked key never works again."""

    name = forms.CharField(label=_("Name of the key"), max_length=64)


class BlockForm(ConfirmedForm):
    """Why something is blocked, and what becomes of its calls under way."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("People read it on every page while the block stands; programs do not."),
    )
    running = forms.ChoiceField(
        label=_("Calls under way"),
        choices=[
            ("finish", _("let them finish: they are billed as usual")),
            ("cut", _("cut them now: what they used is settled, the rest is lost")),
        ],
        initial="finish",
        widget=forms.RadioSelect,
    )
    field_order = ("reason", "running", "name")

    @property
    def is_cut(self) -> bool:
        """Say whether calls under way are cut."""
        return bool(self.cleaned_data["running"] == "cut")
