"""What both indexes keep of a task, so that they find the same."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta

from tasks.task import Task

__all__ = ["microseconds", "texts", "words"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WORD = re.compile(r"[^\W_]+")


def microseconds(moment: datetime | None) -> int | None:
    """Since 1970: exact and comparable, where dates of search engines round to milliseconds."""
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)


def texts(task: Task) -> tuple[str, str, str]:
    """What can be searched: description, sub-tasks, categories."""
    return task.description, "\n".join(sub.description for sub in task.sub_tasks), "\n".join(task.categories)


def words(text: str) -> list[str]:
    """The words a customer typed, each once, without anything that a query language could take for its own."""
    return list(dict.fromkeys(_WORD.findall(unicodedata.normalize("NFC", text))))
