"""What is written down while a trial runs: by the lab, the publisher and every handler, each in a file of its own."""

from pathlib import Path

from lab.trials.checker import Delivered

__all__ = ["Records"]


class Records:
    """Reads the files as they grow. For one thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.receipts = folder / "receipts"
        self.attempted: dict[str, float] = {}
        """Id -> when it was handed to the publisher; kept by whoever hands it over."""
        self.acknowledged: set[str] = set()
        self.deliveries: list[Delivered] = []
        self.done: set[str] = set()
        """Delivered to at least one listener."""
        self.heard: dict[str, dict[str, float]] = {}
        """By listener: id -> when first."""
        self.begun = 0
        """Begun by any handler, the same message each time it is begun."""
        self.begun_ids: set[str] = set()
        self.receipts_read = 0
        """Acknowledgements, the same message each time it was acknowledged."""
        self.changed = 0.0
        """When a handler last finished something."""
        self._busy: dict[str, str] = {}
        self._read: dict[Path, int] = {}

    def busy_with(self, listener: str, pid: int) -> str:
        """The id of the message that this process has begun and not finished; empty if there is none."""
        return self._busy.get(f"{listener}-{pid}", "")

    def refresh(self) -> None:
        for line in self._new_lines(self.receipts):
            if line in self.attempted:  # not the half of an id that a killed publisher left
                self.acknowledged.add(line)
                self.receipts_read += 1
        for path in sorted(self.folder.glob("*.journal")):
            process = path.stem
            listener = process.rpartition("-")[0]
            for line in self._new_lines(path):
                what, message_id, moment = line.split()
                if what == "begun":
                    self.begun += 1
                    self.begun_ids.add(message_id)
                    self._busy[process] = message_id
                    continue
                self._busy[process] = ""
                at = float(moment)
                self.changed = max(self.changed, at)
                self.deliveries.append(Delivered(message_id, listener, process, at))
                self.done.add(message_id)
                self.heard.setdefault(listener, {}).setdefault(message_id, at)

    def _new_lines(self, path: Path) -> list[str]:
        """Whole lines only; the beginning of one is read again when it is complete."""
        start = self._read.get(path, 0)
        try:
            with path.open("rb") as file:
                file.seek(start)
                data = file.read()
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        self._read[path] = start + end
        return data[:end].decode().splitlines()
