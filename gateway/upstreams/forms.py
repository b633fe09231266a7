"""The form of an upstream; its credential is written, never read."""

from typing import Any, cast

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.outbound.addresses import AddressError, Exceptions, Origin, check_origin
from attribution.tenancy.forms import ScopedForm
from gateway.upstreams import envelope, kinds
from gateway.upstreams.models import Upstream, UpstreamKind


class UpstreamForm(ScopedForm):
    """Where a provider is reached, with what credential, and how it bills."""

    credential = forms.CharField(
        label=_("credential"),
        required=False,
        strip=True,
        max_length=4096,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
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
        if not secret:
            return
        upstream: Upstream = self.instance
        origin, _path = kinds.address(upstream.kind, upstream.base_url)
        public = envelope.sealing_key(
            settings.TOLLKEEPER_WRAP_PUBLIC_KEY, settings.TOLLKEEPER_WRAP_KEY
        )
        sealable = cast("envelope.Sealable", upstream)
        envelope.attach(sealable, secret, public, origin=origin, at=timezone.now())

    def _origin(self, kind: str, base_url: str) -> Origin | None:
        try:
            origin, _path = kinds.address(kind, base_url)
            if kind != UpstreamKind.DEMO:
                check_origin(origin, Exceptions(settings.TOLLKEEPER_EGRESS_ALLOW))
        except AddressError as error:
            self.add_error("base_url", ValidationError(str(error)))
            return None
        return origin

    def _sealed_for(self) -> Origin | None:
        """Return the origin that the stored credential is bound to."""
        stored = Upstream.objects.filter(pk=self.instance.pk).first()
        if stored is None or stored.credential_sealed is None:
            return None
        origin, _path = kinds.address(stored.kind, stored.base_url)
        return origin
