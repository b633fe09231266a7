"""The base of every form over rows of an organization, and the forms of its people."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import UniqueConstraint
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.tenancy.models import Membership, Role


class ScopedForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Checks what is unique within the organization; the organization itself is never a field."""

    def _get_validation_exclusions(self) -> set[str]:
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # missing in the stubs
        return excluded - {"organization"}

    def validate_unique(self) -> None:
        """Leave uniqueness to `validate_constraints`, which words it for people."""

    def validate_constraints(self) -> None:
        """Say at the field which value is taken, and at the form what else cannot be."""
        excluded = self._get_validation_exclusions()
        for constraint in self.instance._meta.constraints:
            try:
                constraint.validate(type(self.instance), self.instance, exclude=excluded)
            except ValidationError as error:
                self._add_constraint_error(constraint, error)

    def _add_constraint_error(self, constraint: Any, error: ValidationError) -> None:
        field = constraint.fields[-1] if isinstance(constraint, UniqueConstraint) else None
        if field not in self.fields:
            self.add_error(None, error)
            return
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
