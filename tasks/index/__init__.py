"""The search index behind one small interface: embedded by default, Elasticsearch by URL."""

from pathlib import Path

from tasks.index.contract import Index
from tasks.index.fts import FtsIndex
from tasks.settings import TasksSettings

__all__ = ["index_of"]

_SQLITE = "sqlite:///"


def index_of(settings: TasksSettings) -> Index:
    """The index that INDEX_URL names; nothing is opened before its `open`."""
    url = settings.index_url
    if url.startswith(_SQLITE):
        return FtsIndex(Path(url.removeprefix(_SQLITE)))
    from tasks.index.elastic import ElasticIndex  # noqa: PLC0415 - its client is slow to import

    return ElasticIndex(url, settings.tasks_prefix)
