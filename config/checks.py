"""System checks of a deployment: each with an id and a hint."""

import base64
import binascii
import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004
from django.db import connections

from gateway.upstreams import envelope

SECRETS = ("TOLLKEEPER_KEY_PEPPER", "TOLLKEEPER_FINGERPRINT_SECRET")
OPENERS = {"gateway", "all"}  # the roles that open credentials; the others only seal
ONE_ROLE = (
    "The application, the gateway and the migrations share one database role. Row policies and triggers still "
    "hold, but a compromised gateway or an SQL injection can set the policies' settings itself."
)
# What a crash must not undo; answers are 'on' or a stronger word.
DURABILITY = ("fsync", "full_page_writes", "synchronous_commit")


@register(Tags.security, deploy=True)
def secrets_are_present(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Find secrets that are missing or too short."""
    return [
        Error(
            f"{name} is missing or shorter than 32 bytes.",
            hint="Make one with `openssl rand -base64 32`; a pepper has its version in front: `1:…`.",
            id="tollkeeper.E001",
        )
        for name in (*SECRETS, _wrap_key())
        if len(_decoded(getattr(settings, name).rpartition(":")[2])) < 32
    ]


@register(Tags.security, deploy=True)
def wrap_keys_are_apart(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Find a private wrap key where none belongs, and two that do not fit."""
    private, public = settings.TOLLKEEPER_WRAP_KEY, settings.TOLLKEEPER_WRAP_PUBLIC_KEY
    hint = "`manage.py make_wrap_key` prints the public key of TOLLKEEPER_WRAP_KEY."
    if private and settings.TOLLKEEPER_ROLE not in OPENERS:
        text = f"TOLLKEEPER_ROLE={settings.TOLLKEEPER_ROLE} can open provider credentials."
        hint = f"Give it TOLLKEEPER_WRAP_PUBLIC_KEY alone: {hint}"
        return [Warning(text, hint=hint, id="tollkeeper.W010")]
    keys = [len(_decoded(key)) for key in (private, public)]
    if keys == [32, 32] and envelope.encoded(envelope.sealing_key("", private)) != public:
        text = "TOLLKEEPER_WRAP_PUBLIC_KEY is not the public key of TOLLKEEPER_WRAP_KEY."
        return [Error(text, hint=hint, id="tollkeeper.E011")]
    return []


@register(Tags.security, deploy=True)
def origins_are_safe(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Find addresses under which cookies or redirects could be abused."""
    found: list[CheckMessage] = []
    if any(host.startswith("*") for host in settings.ALLOWED_HOSTS):
        found.append(Error("ALLOWED_HOSTS has a wildcard.", id="tollkeeper.E002"))
    if "*" in settings.TOLLKEEPER_TRUSTED_PROXIES:
        found.append(
            Error(
                "TOLLKEEPER_TRUSTED_PROXIES trusts everybody.",
                hint="Name the addresses of your front proxy.",
                id="tollkeeper.E003",
            )
        )
    is_split = settings.TOLLKEEPER_ROLE != "all"
    if is_split and _host(settings.TOLLKEEPER_API_URL) == _host(settings.TOLLKEEPER_URL):
        found.append(
            Warning(
                "The API and the people's pages share one origin.",
                hint="Give TOLLKEEPER_API_URL a host of its own, so that cookies never reach the API.",
                id="tollkeeper.W004",
            )
        )
    return found


@register(Tags.security, deploy=True)
def egress_is_narrow(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Find permitted outbound addresses that lie on this machine or its link."""
    return [
        Warning(
            f"TOLLKEEPER_EGRESS_ALLOW permits {entry}, on this machine or its link.",
            hint="Fine for a model server beside the gateway; remove it otherwise.",
            id="tollkeeper.W005",
        )
        for entry in settings.TOLLKEEPER_EGRESS_ALLOW
        if _is_local(entry.rpartition(":")[0].strip("[]"))
    ]


@register(Tags.security, deploy=True)
def redis_is_guarded(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Find a broker on the network without a password."""
    url = urlsplit(settings.REDIS_URL)
    if url.scheme == "unix" or url.password:
        return []
    hint = "Set a password, and use rediss:// across networks that others share."
    return [Warning("REDIS_URL has no password.", hint=hint, id="tollkeeper.W006")]


@register(Tags.database, deploy=True)
def database_role_is_bound(
    app_configs: Sequence[AppConfig] | None,
    *,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """Find a database role that row policies do not bind, and a server that forgets commits."""
    if "default" not in (databases or ()):
        return []
    found: list[CheckMessage] = []
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT rolname, rolsuper OR rolbypassrls, EXISTS (SELECT 1 FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            " AND pg_has_role(current_user, relowner, 'USAGE'))"
            " FROM pg_roles WHERE rolname = current_user"
        )
        role, is_unbound, is_owner = cursor.fetchone()
        cursor.execute(
            "SELECT name FROM pg_settings WHERE name = ANY(%s) AND setting = 'off'",
            [list(DURABILITY)],
        )
        forgetful = [name for (name,) in cursor.fetchall()]
    if is_unbound:
        text = f"The database role {role} is a superuser or bypasses row policies."
        found.append(Error(text, hint="Use an ordinary role.", id="tollkeeper.E007"))
    elif is_owner:
        hint = "Set OWNER_DATABASE_URL and GATEWAY_DATABASE_URL; see docs/operating.md."
        found.append(Warning(ONE_ROLE, hint=hint, id="tollkeeper.W008"))
    found += [
        Error(f"PostgreSQL runs with {name} off.", id="tollkeeper.E009") for name in forgetful
    ]
    return found


def _wrap_key() -> str:
    """Name the wrap key that this role needs."""
    is_opener = settings.TOLLKEEPER_ROLE in OPENERS
    return "TOLLKEEPER_WRAP_KEY" if is_opener else "TOLLKEEPER_WRAP_PUBLIC_KEY"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


def _host(url: str) -> str | None:
    return urlsplit(url).hostname


def _is_local(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_link_local
