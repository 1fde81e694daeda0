"""The index, as the API reads it: opened when it is first asked, since the API runs without it, too."""

import threading

from tasks.index.contract import Criteria, Hits, Index

__all__ = ["Search"]


class Search:
    """For many threads."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._opening = threading.Lock()
        self._is_open = False

    def find(self, criteria: Criteria) -> Hits:
        """Raises IndexUnavailableError."""
        if not self._is_open:
            with self._opening:
                if not self._is_open:
                    self._index.open()
                    self._is_open = True
        return self._index.search(criteria)

    def close(self) -> None:
        with self._opening:
            if self._is_open:
                self._index.close()
