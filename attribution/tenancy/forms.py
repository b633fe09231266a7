"""The base of every form over rows of an organization, and the forms of its people."""

from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import UniqueConstraint
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.tenancy.models import Membership, Role


class ScopedForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Checks what is unique within the organization, which itself is never a field."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.label = capfirst(field.label) if field.label else field.label

    def validate_unique(self) -> None:
        """Say at the field which value is taken, whatever other columns the constraint names."""
        for constraint in self.instance._meta.constraints:
            if isinstance(constraint, UniqueConstraint):
                self._check(constraint)

    def _check(self, constraint: UniqueConstraint) -> None:
        field = constraint.fields[-1] if constraint.fields else None
        if field in self.errors or not set(constraint.fields) & set(self.fields):
            return
        try:
            constraint.validate(type(self.instance), self.instance)
        except ValidationError:
            self.add_error(field, gettext("Another one has this value already."))


class OrganizationForm(ScopedForm):
    """The settings of an organization."""

    def clean_time_zone(self) -> str:
        """Accept names of the IANA list only."""
        zone = str(self.cleaned_data["time_zone"])
        if zone not in available_timezones():
            raise ValidationError(gettext("Write it as in Europe/Paris or Asia/Shanghai."))
        return zone


class InvitationForm(ScopedForm):
    """Somebody new: an address instead of a person to choose."""

    email = forms.EmailField(
        label=_("e-mail"),
        help_text=_(
            "Somebody who is new here gets a password, shown once after saving: hand it over "
            "personally. Somebody with an account keeps their password."
        ),
    )
    name = forms.CharField(label=_("name"), max_length=128, required=False)

    def clean_email(self) -> str:
        """Refuse somebody who is a member already."""
        email = str(self.cleaned_data["email"]).lower()
        if Membership.objects.filter(user__email=email).exists():
            raise ValidationError(
                gettext("This person has a membership already: change that one instead.")
            )
        return email


class MembershipForm(ScopedForm):
    """What somebody may do here."""

    def clean(self) -> dict[str, Any]:
        """Keep at least one owner."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        stays = values.get("is_active") and values.get("role") == Role.OWNER
        others = Membership.objects.filter(role=Role.OWNER, is_active=True).exclude(
            pk=self.instance.pk
        )
        if not stays and not others.exists():
            raise ValidationError(gettext("An organization keeps at least one active owner."))
        return values


class DepartmentForm(ScopedForm):
    """A node of the tree of the company."""

    def clean(self) -> dict[str, Any]:
        """Refuse a department that would be part of itself."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        above = values.get("parent")
        while above is not None:
            if above.pk == self.instance.pk:
                self.add_error("parent", gettext("This is a part of the department itself."))
                break
            above = above.parent
        return values


class PlainDecimalField(forms.DecimalField):
    """An amount without the zeros that storage adds."""

    def prepare_value(self, value: Any) -> Any:
        """Show 80 where 80.000000000000 is stored."""
        return f"{value.normalize():f}" if isinstance(value, Decimal) else value

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """Let browsers take any number of decimals; the field checks them."""
        attrs: dict[str, Any] = super().widget_attrs(widget)
        return {**attrs, "step": "any"} if "step" in attrs else attrs


class NamesField(forms.CharField):
    """A list of names, written with commas."""

    def prepare_value(self, value: Any) -> Any:
        """Write a stored list."""
        return ", ".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        """Read what was written."""
        return [name.strip() for name in str(super().clean(value)).split(",") if name.strip()]
