"""While developing: a process that ends as soon as the code it has imported changes, to be started anew.

The files are looked at twice a second. Watched are the modules under the current directory, and those where an import
failed.
"""

import os
import signal
import sys
import sysconfig
import threading
import time
from collections.abc import Iterable
from pathlib import Path

__all__ = ["Watch"]

_LOOK_SECONDS = 0.5


class Watch:
    """Of the code under one folder."""

    def __init__(self, folder: Path) -> None:
        self.changed = False
        self._folder = folder.resolve()
        self._installed = [Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")]
        self._known: set[str] = set()
        self._times: dict[str, int | None] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Look at the files in a thread; a change ends this process by SIGTERM."""
        threading.Thread(target=self._follow, name="reload", daemon=True).start()

    def look(self, also: Iterable[str] = ()) -> None:
        """Compare what is watched, then watch what has been imported since, and these, be they there or not."""
        with self._lock:
            if any(_changed_at(path) != at for path, at in self._times.items()):
                self.changed = True
            # a module without a file is built in, or a namespace
            imported = {file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
            for file in imported.union(also) - self._known:
                self._known.add(file)
                path = os.path.realpath(file)
                if self._is_ours(Path(path)):
                    self._times.setdefault(path, _changed_at(path))

    def _follow(self) -> None:
        while not self.changed:
            time.sleep(_LOOK_SECONDS)
            self.look()
        os.kill(os.getpid(), signal.SIGTERM)

    def _is_ours(self, path: Path) -> bool:
        return (
            path.suffix == ".py"
            and path.is_relative_to(self._folder)
            and not any(path.is_relative_to(folder) for folder in self._installed)
        )


def _changed_at(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - of hundreds of files, twice a second
    except OSError:
        return None
