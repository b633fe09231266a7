"""What a person makes of an anomaly."""

from django import forms
from django.utils.translation import gettext_lazy as _

from attribution.insights import words
from attribution.insights.models import Anomaly, Verdict


class VerdictForm(forms.Form):
    """Another status, and why."""

    status = forms.ChoiceField(
        label=_("What is it?"),
        choices=[
            (Verdict.NEW, _("New: nobody has looked at it")),
            (Verdict.ACKNOWLEDGED, _("Acknowledged: somebody takes care of it")),
            (Verdict.EXPECTED, _("Expected: later days are not compared with these")),
            (Verdict.FALSE_POSITIVE, _("False alarm: these days are as good as any")),
        ],
        widget=forms.RadioSelect,
    )
    note = forms.CharField(
        label=_("Note"),
        max_length=500,
        required=False,
        help_text=_("For those who look at it later, for example: load test of the new agent."),
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    @classmethod
    def of(cls, row: Anomaly) -> "VerdictForm":
        """Return the form as the anomaly stands."""
        return cls(initial={"status": row.status, "note": words.note(row)})
