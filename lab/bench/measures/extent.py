"""How much is measured, and for whom."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.bench.contestants import Contestant

__all__ = ["Extent"]


@dataclass(frozen=True, slots=True)
class Extent:
    """What all measures are given."""

    rounds: int
    scale: float
    """Of the number of messages; 1 for figures to be believed."""
    peers: Sequence[Contestant]
    say: Callable[[str], None]

    def messages(self, usual: int, least: int = 100) -> int:
        return max(least, round(usual * self.scale))
