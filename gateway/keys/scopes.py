"""What a key may do, by name. No scope means everything, as an empty list of models means all."""

from collections.abc import Collection

CALL = "call"  # provider paths, the list of models, estimates, its own budgets
COSTS = "costs"  # reads costs of the cost centers it may book to
INGEST = "ingest"  # reports calls made elsewhere
STREAM = "stream"  # listens to the live stream of the cost centers it may book to

ALL = (CALL, COSTS, INGEST, STREAM)


def allows(scopes: Collection[str], scope: str) -> bool:
    """Tell whether a key of these scopes may do something."""
    return not scopes or scope in scopes
