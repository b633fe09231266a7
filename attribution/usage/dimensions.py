"""Who a call is for and what for: header, then body, then the key's default, then the house's."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_LENGTH = 128
MAX_TAGS = 32
IDENTITIES = ("cost_center", "user_id")  # a shortened identity would be another one: refused
STRIPPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, bidi and other invisible characters

HEADERS = {
    "cost_center": "x-cost-center",
    "user_id": "x-user-id",
    "path": "x-request-path",
    "feature": "x-feature",
    "session_id": "x-session-id",
    "feature_flag": "x-feature-flag",
    "environment": "x-environment",
}
BODY_FIELDS: dict[str, tuple[str, ...]] = {
    "cost_center": ("cost_center", "metadata.cost_center"),
    "user_id": ("user_id", "user", "safety_identifier", "metadata.user_id"),
    "path": ("request_path",),
    "feature": ("metadata.feature",),
    "session_id": ("metadata.session_id",),
    "feature_flag": ("metadata.feature_flag",),
    "environment": ("metadata.environment",),
}
NAMES = tuple(HEADERS)
DIMENSION_KEYS = frozenset(
    path.removeprefix("metadata.")
    for paths in BODY_FIELDS.values()
    for path in paths
    if path.startswith("metadata.")
)

# what belongs to the provider and is therefore forwarded
OPENAI_FIELDS = frozenset({"user", "metadata", "safety_identifier"})
ANTHROPIC_FIELDS = frozenset({"metadata.user_id"})
GEMINI_FIELDS: frozenset[str] = frozenset()
# what coding agents pack into `metadata.user_id`: since 2026 an object, before that one text
PACKED = re.compile(r"(user_[0-9a-f]+)_account_([0-9a-f-]*)_session_([0-9a-f-]+)")


class AttributionError(ValueError):
    """A dimension that is not one, or that this key may not choose."""

    def __init__(self, message: str, *, code: str, param: str) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


@dataclass(frozen=True, slots=True)
class KeyRules:
    """What an API key says of its calls: defaults, which of them are pinned, what is allowed."""

    defaults: Mapping[str, str] = field(default_factory=dict)
    pinned: frozenset[str] = frozenset()
    allowed: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def check(self, name: str, value: str, source: str) -> None:
        """Refuse a client's choice that a pin or a list of this key does not allow."""
        is_pinned = name in self.pinned and value != self.defaults.get(name)
        is_unlisted = name in self.allowed and value not in self.allowed[name]
        if is_pinned or is_unlisted:
            raise AttributionError(
                f"this API key may not choose {name}", code="attribution_not_allowed", param=source
            )


def key_rules(key: Mapping[str, Any], cost_center: str | None) -> KeyRules:
    """Read the rules of a key from its columns; `cost_center` is the code of its default."""
    defaults = {"cost_center": cost_center, "user_id": key["user_name"]}
    pins = {
        "cost_center": key["is_cost_center_pinned"],
        "user_id": key["is_user_pinned"],
    }
    listed = key["allowed_cost_centers"]
    return KeyRules(
        {name: value for name, value in defaults.items() if value},
        frozenset(name for name, is_pinned in pins.items() if is_pinned),
        {"cost_center": frozenset(listed)} if listed else {},
    )


@dataclass(frozen=True, slots=True)
class HouseRules:
    """What the organization says: its default cost center, and which tags it keeps (None: any)."""

    cost_center: str | None = None
    tag_keys: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The dimensions of one call, where its cost center came from, and what not to forward."""

    cost_center: str | None
    user_id: str | None
    path: str | None
    feature: str | None
    session_id: str | None
    feature_flag: str | None
    environment: str | None
    tags: Mapping[str, str]
    cost_center_source: str  # header, body, key, organization, or empty
    strip: tuple[str, ...]


def resolve(
    headers: Mapping[str, str],
    body: Mapping[str, object],
    *,
    key: KeyRules,
    house: HouseRules,
    provider_fields: frozenset[str] = OPENAI_FIELDS,
) -> Dimensions:
    """Say who and what a call is for; header names are lower-case."""
    said = _unpacked(body)
    found = {name: _choose(name, headers, said, key) for name in NAMES}
    center, origin = found["cost_center"]
    if center is None and house.cost_center:
        center, origin = house.cost_center, "organization"
    values = {name: value for name, (value, _) in found.items()}
    return Dimensions(
        **{**values, "cost_center": center},
        tags=_tags(headers, body, house.tag_keys),
        cost_center_source=origin,
        strip=_foreign_fields(body, provider_fields),
    )


def without(body: Mapping[str, object], strip: tuple[str, ...]) -> dict[str, object]:
    """Return the body that is forwarded: a copy without the fields that are ours."""
    kept = dict(body)
    for path in strip:
        if path.startswith("metadata."):
            inner = dict(_metadata(kept))
            inner.pop(path.removeprefix("metadata."), None)
            kept["metadata"] = inner
        else:
            kept.pop(path, None)
    if kept.get("metadata") == {} and body.get("metadata") != {}:
        del kept["metadata"]
    return kept


def clean(text: str) -> str:
    """Strip control and bidi characters and outer space; people read these names."""
    if text.isascii() and text.isprintable():
        return text.strip()  # nothing to look for: nearly every name
    visible = "".join(c for c in text if unicodedata.category(c) not in STRIPPED)
    return unicodedata.normalize("NFC", visible).strip()


def _choose(
    name: str, headers: Mapping[str, str], body: Mapping[str, object], key: KeyRules
) -> tuple[str | None, str]:
    header = HEADERS[name]
    given: object = headers.get(header)
    if given and (value := _value(name, given, header)):
        key.check(name, value, header)
        return value, "header"
    for path in BODY_FIELDS[name] if body else ():
        given = _at(body, path)
        if given is not None and (value := _value(name, given, path)):
            key.check(name, value, path)
            return value, "body"
    default = key.defaults.get(name)
    return default, "key" if default else ""


def _value(name: str, given: object, source: str) -> str | None:
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)
    if not isinstance(given, str):
        if given is None or source in OPENAI_FIELDS or "." in source:
            return None  # the provider's own field, in a shape that only the provider knows
        raise AttributionError(f"{source} must be text", code="invalid_request", param=source)
    text = clean(given)
    if len(text) > MAX_LENGTH and name in IDENTITIES:
        if source in OPENAI_FIELDS or source in ANTHROPIC_FIELDS:
            return _shortened(text)  # the provider takes it, so a program may have it
        message = f"{source} is longer than {MAX_LENGTH} characters"
        raise AttributionError(message, code="invalid_request", param=source)
    return text[:MAX_LENGTH] or None


def _shortened(text: str) -> str:
    """Return an identity that is too long so that two of them stay two."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{text[: MAX_LENGTH - 17]}~{digest}"


def _unpacked(body: Mapping[str, object]) -> Mapping[str, object]:
    """Tell the user from the session where a coding agent packs both into one field."""
    metadata = _metadata(body)
    given = metadata.get("user_id")
    if not isinstance(given, str):
        return body
    if found := PACKED.fullmatch(given):
        device, account, session = found.groups()
    elif given.startswith("{"):
        device, account, session = _members(given)
    else:
        return body
    user = account or device or given
    return {**body, "metadata": {"session_id": session, **metadata, "user_id": user}}


def _members(text: str) -> tuple[str, str, str]:
    """Return device, account and session of an agent's object; empty where it is another one."""
    try:
        packed = json.loads(text)
    except (ValueError, RecursionError):
        packed = None
    names = ("device_id", "account_uuid", "session_id")
    found = [packed.get(name) if isinstance(packed, dict) else "" for name in names]
    device, account, session = (one if isinstance(one, str) else "" for one in found)
    return device, account, session


def _tags(
    headers: Mapping[str, str], body: Mapping[str, object], keys: frozenset[str] | None
) -> dict[str, str]:
    """Return the tags, the header's before the body's; values of any length are shortened."""
    pairs = [pair.partition("=") for pair in headers.get("x-tags", "").split(",")]
    given = [(name, value) for name, separator, value in pairs if separator]
    given += [
        (name, value)
        for name, value in _metadata(body).items()
        if isinstance(value, str) and name not in DIMENSION_KEYS
    ]
    tags: dict[str, str] = {}
    for name, value in given:
        label = clean(name)[:MAX_LENGTH]
        if label and len(tags) < MAX_TAGS and (keys is None or label in keys):
            tags.setdefault(label, clean(value)[:MAX_LENGTH])
    return tags


def _foreign_fields(body: Mapping[str, object], provider_fields: frozenset[str]) -> tuple[str, ...]:
    if not body:
        return ()
    top = {path for paths in BODY_FIELDS.values() for path in paths if "." not in path}
    foreign = {name for name in top & body.keys() if name not in provider_fields}
    if "metadata" not in provider_fields:
        inner = {f"metadata.{name}" for name in _metadata(body)}
        foreign |= {path for path in inner if path not in provider_fields}
    return tuple(sorted(foreign))


def _at(body: Mapping[str, object], path: str) -> object:
    if path.startswith("metadata."):
        return _metadata(body).get(path.removeprefix("metadata."))
    return body.get(path)


def _metadata(body: Mapping[str, object]) -> Mapping[str, object]:
    given = body.get("metadata")
    return given if isinstance(given, Mapping) else {}
