"""The form of a channel; a webhook's address is written, never read."""

from ipaddress import ip_address
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.outbound import addresses
from attribution.outbound.addresses import AddressError, Exceptions, Origin
from attribution.tenancy.forms import ScopedForm
from attribution.tenancy.models import Department
from budgets.channels import accounts
from budgets.channels.models import Channel, ChannelKind, Topic

# In-app notes and each person's own mail need no channel; a summary is made for one person.
KINDS = [ChannelKind.EMAIL, ChannelKind.SLACK, ChannelKind.WEBHOOK]
TOPICS = [topic for topic in Topic if topic not in {Topic.DIGEST, Topic.TEST}]


class ChannelForm(ScopedForm):
    """Where messages go, and which."""

    address = forms.CharField(
        label=_("address"),
        required=False,
        max_length=2048,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_(
            "As https://host/path. Whoever has it can write there, so it is sealed and never shown "
            "again. Empty: stays as it is."
        ),
    )
    topics = forms.MultipleChoiceField(
        label=_("only about"),
        required=False,
        choices=[(topic.value, topic.label) for topic in TOPICS],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Nothing ticked: everything."),
    )

    department: "forms.ModelChoiceField[Department]" = forms.ModelChoiceField(
        None,  # rows exist only within the tenant transaction of a request
        label=_("only budgets of"),
        required=False,
        empty_label=_("the whole organization"),
    )

    class Meta:
        model = Channel
        fields = ("name", "kind", "mailbox", "language", "topics", "is_active")
        help_texts = {"mailbox": _("A shared mailbox; every person has their own mail anyway.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        languages = [("", gettext("the organization's")), *settings.LANGUAGES]
        self.fields["language"] = forms.ChoiceField(
            label=gettext("Language"), choices=languages, required=False
        )
        departments = Department.objects.filter(is_active=True).order_by("name")
        self.fields["department"].queryset = departments  # type: ignore[attr-defined]  # a choice of rows
        self.initial.setdefault("department", self.instance.department_id)
        self.fields["kind"].choices = [(kind.value, kind.label) for kind in KINDS]  # type: ignore[attr-defined]  # a choice
        if not self.instance._state.adding:
            del self.fields["kind"]

    def clean_address(self) -> str:
        """Refuse what may not be reached."""
        url = str(self.cleaned_data["address"]).strip()
        if url:
            reachable(url)
        return url

    def clean(self) -> dict[str, Any]:
        """Ask for what the kind needs; keep nothing that it does not use."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        kind = values.get("kind") or self.instance.kind
        if kind == ChannelKind.EMAIL:
            values["address"] = ""
            if not values.get("mailbox") and "mailbox" not in self.errors:
                self.add_error("mailbox", gettext("Write the address of the mailbox."))
            return values
        values["mailbox"] = ""
        is_kept = self.instance.address_sealed is not None
        if not values.get("address") and not is_kept and "address" not in self.errors:
            self.add_error("address", gettext("Write the address of the webhook."))
        return values

    def fill(self) -> None:
        """Put the department and the address that were chosen into the channel's columns."""
        self.instance.department = self.cleaned_data["department"]
        if url := self.cleaned_data.get("address"):
            accounts.put_address(self.instance, url)


def reachable(url: str) -> None:
    """Refuse an address that nothing of ours would call, and say why."""
    exceptions = Exceptions(settings.TOLLKEEPER_EGRESS_ALLOW)
    try:
        origin, _path = addresses.parted(url)
    except AddressError as error:
        text = gettext("Write it as https://host/path, without user and fragment.")
        raise ValidationError(text) from error
    try:
        addresses.check_origin(origin, exceptions)
        addresses.check_addresses(origin, _literal(origin), exceptions)
    except AddressError as error:
        text = gettext(
            "Only https on port 443 at a public address may be reached. The operator permits others "
            "one by one: %(entry)s in TOLLKEEPER_EGRESS_ALLOW."
        )
        raise ValidationError(text % {"entry": f"{origin.host}:{origin.port}"}) from error


def _literal(origin: Origin) -> list[str]:
    """Return the address that a host is; a public one for names, which are resolved on the way."""
    try:
        return [str(ip_address(origin.host))]
    except ValueError:
        return ["1.1.1.1"]
