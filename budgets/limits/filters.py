"""For which calls of its scope a budget counts: models, providers, features, environments."""

from collections.abc import Collection, Mapping

FIELDS = ("models", "providers", "features", "environments")
MOST = 100  # texts of a filter
LONGEST = 256  # characters of a text

Filters = Mapping[str, Collection[str]]


class FilterError(ValueError):
    """Filters that no call is measured by."""

    code = "invalid_filters"


def checked(given: object) -> dict[str, list[str]]:
    """Return filters as they are kept, or raise FilterError.

    Each field is optional; one that is given lists exact texts, at least one. No field: every call.
    """
    if not isinstance(given, Mapping):
        raise FilterError("filters are an object of lists")
    if unknown := sorted(str(name) for name in given if name not in FIELDS):
        raise FilterError(f"unknown filter: {', '.join(unknown)}; known are {', '.join(FIELDS)}")
    return {name: _texts(name, given[name]) for name in FIELDS if name in given}


def may_count(filters: Filters, *, feature: str | None, environment: str | None) -> bool:
    """Say whether calls of a feature and an environment count, if their target does."""
    return _is_in(filters, "features", (feature or "",)) and _is_in(
        filters, "environments", (environment or "",)
    )


def may_bill(filters: Filters, *, provider: str, models: Collection[str]) -> bool:
    """Say whether what a target bills counts; `models` are its route and its name at the provider.

    An empty provider, or no models, are not known yet and may match.
    """
    is_provider = not provider or _is_in(filters, "providers", (provider,))
    return is_provider and (not models or _is_in(filters, "models", models))


def _is_in(filters: Filters, field: str, values: Collection[str]) -> bool:
    wanted = filters.get(field)
    return wanted is None or any(value in wanted for value in values)


def _texts(name: str, given: object) -> list[str]:
    texts = sorted(set(given)) if isinstance(given, list | tuple) and _are_texts(given) else []
    if not 0 < len(texts) <= MOST:
        raise FilterError(f"{name} lists 1 to {MOST} texts of 1 to {LONGEST} characters")
    return texts


def _are_texts(given: Collection[object]) -> bool:
    return all(isinstance(text, str) and 0 < len(text) <= LONGEST for text in given)
