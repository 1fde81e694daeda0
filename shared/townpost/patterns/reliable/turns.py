"""Whose turn it is in the next claim, so that neither urgent messages nor suspects keep all others waiting."""

__all__ = ["Turns"]

_PLAIN_SHARE = 10
"""One message of so many comes from the list although urgent ones wait."""


class Turns:
    """Of one consumer."""

    def __init__(self) -> None:
        self.suspects = True
        """Whether the next claim takes a suspect, if there is one: every other claim does."""
        self._credit = 0

    def plain(self, limit: int) -> int:
        """How many of a claim of so many are left for the list, though more are urgent."""
        self._credit += limit
        share, self._credit = divmod(self._credit, _PLAIN_SHARE)
        return share

    def took(self, *, suspect: bool) -> None:
        self.suspects = not suspect
