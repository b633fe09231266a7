"""The forms of an upstream; its credential is written, never read."""

from ipaddress import ip_address
from typing import Any, cast

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.outbound import addresses
from attribution.outbound.addresses import AddressError, Exceptions, Origin
from attribution.tenancy.forms import PlainDecimalField, ScopedForm
from gateway.upstreams import envelope, kinds
from gateway.upstreams.models import Upstream, UpstreamKind


class CredentialField(forms.CharField):
    """A provider's key: typed or pasted, never shown again, plain ASCII as headers are."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"})
        super().__init__(
            label=_("credential"), strip=True, max_length=4096, widget=widget, **kwargs
        )

    def clean(self, value: Any) -> Any:
        """Refuse what no header can carry."""
        secret = super().clean(value)
        if secret and not (secret.isascii() and secret.isprintable() and " " not in secret):
            raise ValidationError(gettext("A credential has no spaces and only plain characters."))
        return secret


class UpstreamForm(ScopedForm):
    """Where a provider is reached, with what credential, and how it bills."""

    credential = CredentialField(
        required=False,
        help_text=_("The provider's API key. Only the gateway can read it. Empty: stays as it is."),
    )

    def clean(self) -> dict[str, Any]:
        """Accept addresses that may be reached; ask for the credential again with a new one."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if "kind" not in values or "base_url" not in values:
            return values
        origin = self._origin(values["kind"], values["base_url"])
        if origin is None:
            return values
        is_kept = self._sealed_for() == origin
        needs = kinds.KINDS[values["kind"]].needs_credential or self._sealed_for() is not None
        if needs and not is_kept and not values.get("credential"):
            text = gettext("Type the credential: it is bound to the address.")
            self.add_error("credential", text)
        return values

    def seal(self) -> None:
        """Put the credential that was typed into the upstream's columns."""
        secret = self.cleaned_data.get("credential")
        if secret:
            seal(self.instance, secret)

    def _origin(self, kind: str, base_url: str) -> Origin | None:
        try:
            return reachable(kind, base_url)
        except ValidationError as error:
            self.add_error("base_url", error)
            return None

    def _sealed_for(self) -> Origin | None:
        """Return the origin that the stored credential is bound to."""
        stored = Upstream.objects.filter(pk=self.instance.pk).first()
        if stored is None or stored.credential_sealed is None:
            return None
        origin, _path = kinds.address(stored.kind, stored.base_url)
        return origin


class UpstreamPageForm(UpstreamForm):
    """An upstream on its own page."""

    discount_percent = PlainDecimalField(
        label=_("discount (%)"),
        min_value=0,
        max_value=100,
        decimal_places=4,
        initial=0,
        help_text=_("What the provider takes off its list, for example 12.5."),
    )
    markup_percent = PlainDecimalField(
        label=_("markup (%)"),
        min_value=0,
        max_digits=8,
        decimal_places=4,
        initial=0,
        help_text=_("What is added after the discount, for example 5."),
    )

    class Meta:
        model = Upstream
        fields = (
            *("name", "kind", "base_url", "credential", "provider", "discount_percent"),
            *("markup_percent", "is_cost_reported", "is_error_unbilled", "connect_timeout_s"),
            *("idle_timeout_s", "total_timeout_s", "is_active"),
        )
        help_texts = {
            "base_url": _(
                "As https://host/path. Empty: the provider's own. A model server of your own, such "
                "as http://vllm:8000/v1, needs vllm:8000 in the operator's TOLLKEEPER_EGRESS_ALLOW."
            ),
            "provider": _("Whose prices count. Empty: those of the kind."),
            "is_active": _("Routes pass over an upstream that is not."),
        }


class CredentialForm(forms.Form):
    """A new credential for the same address."""

    credential = CredentialField(help_text=_("Only the gateway can read it."))


def seal(upstream: Upstream, secret: str) -> None:
    """Put a credential into the columns of an upstream, bound to its address."""
    origin, _path = kinds.address(upstream.kind, upstream.base_url)
    public = envelope.sealing_key(settings.TOLLKEEPER_WRAP_PUBLIC_KEY, settings.TOLLKEEPER_WRAP_KEY)
    sealable = cast("envelope.Sealable", upstream)
    envelope.attach(sealable, secret, public, origin=origin, at=timezone.now())


def reachable(kind: str, base_url: str) -> Origin:
    """Return the origin of an address; refuse one that the gateway would not call, and say why."""
    exceptions = Exceptions(settings.TOLLKEEPER_EGRESS_ALLOW)
    try:
        origin, _path = kinds.address(kind, base_url)
    except AddressError as error:
        text = gettext("Write it as https://host/path, without user, question mark and fragment.")
        raise ValidationError(text) from error
    if kind == UpstreamKind.DEMO or origin in exceptions:
        return origin
    try:
        addresses.check_origin(origin, exceptions)
        addresses.check_addresses(origin, _literal(origin), exceptions)
    except AddressError as error:
        text = gettext(
            "Only https on port 443 at a public address may be reached. The operator permits others "
            "one by one: %(entry)s in TOLLKEEPER_EGRESS_ALLOW."
        )
        raise ValidationError(text % {"entry": f"{origin.host}:{origin.port}"}) from error
    return origin


def _literal(origin: Origin) -> list[str]:
    """Return the address that a host is; a public one for names, which the gateway resolves."""
    try:
        return [str(ip_address(origin.host))]
    except ValueError:
        return ["1.1.1.1"]
