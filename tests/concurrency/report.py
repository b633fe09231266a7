"""What a run of races found."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

SHOWN = 20  # breaches that are written down


@dataclass
class Found:
    """Sums over races; any breach fails the run."""

    seed: int
    races: int = 0
    calls: int = 0
    used_up: int = 0  # races whose last of the money was granted, to the last digit
    passed: int = 0  # whose limit was lowered under what was spent already
    outcomes: Counter[str] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)
    breach_count: int = 0
    seconds: float = 0.0

    def blame(self, wrong: Iterable[str]) -> None:
        """Note what must not be."""
        for one in wrong:
            self.breach_count += 1
            if len(self.breaches) < SHOWN:
                self.breaches.append(one)

    def merge(self, said: Mapping[str, Any]) -> None:
        """Add what another process found."""
        for name in ("races", "calls", "used_up", "passed", "breach_count", "seconds"):
            setattr(self, name, getattr(self, name) + said[name])
        self.outcomes.update(said["outcomes"])
        self.breaches = [*self.breaches, *said["breaches"]][:SHOWN]

    def as_dict(self) -> dict[str, Any]:
        """Write it down."""
        each = round(1000 * self.seconds / self.races, 1) if self.races else None
        return {**vars(self), "outcomes": dict(self.outcomes), "ms_per_race": each}

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what a process wrote as its last line."""
        said = json.loads(text.splitlines()[-1])
        found = cls(said["seed"])
        found.merge(said)
        return found
