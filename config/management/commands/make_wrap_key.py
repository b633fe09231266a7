"""Prints a pair of wrap keys: the private one for gateways, the public one for everybody else."""

import base64
import secrets
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from gateway.upstreams import envelope


class Command(BaseCommand):
    """With TOLLKEEPER_WRAP_KEY set, prints only the public key that belongs to it."""

    help = __doc__ or ""
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Print lines for the environment."""
        private = settings.TOLLKEEPER_WRAP_KEY
        if not private:
            private = base64.b64encode(secrets.token_bytes(32)).decode("ascii")
            self.stdout.write(f"TOLLKEEPER_WRAP_KEY={private}")
        public = envelope.encoded(envelope.private_key(private).public_key())
        self.stdout.write(f"TOLLKEEPER_WRAP_PUBLIC_KEY={public}")
