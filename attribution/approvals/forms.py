"""The form of a decision."""

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.approvals.models import Decision


class DecisionForm(forms.Form):
    """What becomes of a request; whoever says no says why."""

    decision = forms.ChoiceField(choices=Decision.choices, widget=forms.HiddenInput)
    note = forms.CharField(
        label=_("Note"),
        max_length=256,
        required=False,
        help_text=_("Kept with the request and in the audit log. A rejection needs one."),
    )

    def clean_note(self) -> str:
        """Ask for a reason where something is refused."""
        note = str(self.cleaned_data["note"]).strip()
        if self.cleaned_data.get("decision") == Decision.REJECTED and not note:
            raise forms.ValidationError(gettext("Say why: the person who asked reads it."))
        return note
