"""The index in Elasticsearch, through its official client.

Each task is one document whose version is the task's (`version_type=external`): Elasticsearch itself refuses what is
not newer. A deleted task stays as a tombstone, since Elasticsearch forgets a deletion's version after a minute
(`index.gc_deletes`), and a later update would bring it back. The cursor is a document beside them.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from elastic_transport import TransportError
from elasticsearch import ApiError, BadRequestError, Elasticsearch, NotFoundError, UnsupportedProductError

from tasks.index.contract import Criteria, Hits, IndexUnavailableError, Range
from tasks.index.fields import microseconds, texts, words
from tasks.task import Change, Task
from townpost import SettingError, printable

__all__ = ["ElasticIndex"]

_PORTS = {"http": 9200, "https": 443}
_REQUEST_SECONDS = 10.0
_RETRIES = 2
_CURSOR = "cursor"
_CONFLICT = 409
_REFUSED = (401, 403)
_SHOWN = 200
_PRIORITY = 500  # above what a cluster may have for all indexes
_REFRESH = "250ms"
"""How often new documents become searchable; an `apply` waits for it, so that what is called saved can be found."""

TEMPLATE: Mapping[str, Any] = {
    "settings": {
        "number_of_shards": 1,
        "auto_expand_replicas": "0-1",
        "refresh_interval": _REFRESH,
        "analysis": {
            "analyzer": {"words": {"type": "custom", "tokenizer": "standard", "filter": ["lowercase", "asciifolding"]}}
        },
    },
    "mappings": {
        "dynamic": "strict",
        "properties": {
            "live": {"type": "boolean"},  # false: a tombstone, or the cursor
            "cursor": {"type": "long", "index": False},
            "id": {"type": "keyword"},
            "words": {"type": "text", "analyzer": "words"},
            "priority": {"type": "keyword"},
            "is_done": {"type": "boolean"},
            "start": {"type": "long"},
            "due": {"type": "long"},
            "created": {"type": "long"},
            "task": {"type": "object", "enabled": False},
        },
    },
}


class ElasticIndex:
    """Implements `tasks.index.contract.Index`."""

    def __init__(self, url: str, prefix: str) -> None:
        """Nothing is sent before `open`.

        Args:
            url: http or https, with user and password where they are needed.
            prefix: of the index's name, as of the channels'.
        """
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        self._where = f"{parts.scheme}://{host}:{parts.port or _PORTS[parts.scheme]}{parts.path.rstrip('/')}"
        self.name = re.sub(r"[^a-z0-9]+", "-", f"{prefix.lower()}-index").lstrip("-")
        self._client = Elasticsearch(
            self._where,
            basic_auth=(unquote(parts.username), unquote(parts.password or "")) if parts.username else None,
            request_timeout=_REQUEST_SECONDS,
            max_retries=_RETRIES,
            retry_on_timeout=True,  # nothing here changes anything when it is done twice
            retry_on_status=(429, 502, 503, 504),
        )

    def __str__(self) -> str:
        return f"{self._where}/{self.name}"

    def open(self) -> None:
        with self._translated(opening=True):
            self._client.indices.put_index_template(
                name=self.name, index_patterns=[self.name], template=TEMPLATE, priority=_PRIORITY
            )
            try:
                self._client.indices.create(index=self.name)
            except BadRequestError as error:
                if error.error != "resource_already_exists_exception":
                    raise

    def apply(self, changes: Sequence[Change]) -> int:
        if not changes:
            return 0
        operations: list[Mapping[str, Any]] = []
        for change in changes:
            action = {"_id": str(change.id), "version": change.version, "version_type": "external"}
            operations += [{"index": action}, _document(change)]
        with self._translated():
            reply = self._client.bulk(index=self.name, operations=operations, refresh="wait_for")
        results = [item["index"] for item in reply["items"]]
        refused = [result for result in results if "error" in result and result["status"] != _CONFLICT]
        if refused:
            why = refused[0]["error"]
            raise IndexUnavailableError(
                f"Elasticsearch at {self._where} did not accept {len(refused)} of {len(results)} tasks: "
                f"{printable(str(why.get('type')))}: {printable(str(why.get('reason')))[:_SHOWN]}"
            )
        return sum("error" not in result for result in results)

    def search(self, criteria: Criteria) -> Hits:
        must: list[Any] = []
        sort: list[Any] = [{"created": "desc"}, {"id": "asc"}]
        if words(criteria.text):
            # match takes the text for words and nothing else; query_string would take it for a program
            must = [{"match": {"words": {"query": criteria.text, "operator": "and", "zero_terms_query": "all"}}}]
            sort = [{"_score": "desc"}, {"id": "asc"}]
        with self._translated():
            reply = self._client.search(
                index=self.name,
                query={"bool": {"must": must, "filter": _filters(criteria)}},
                sort=sort,
                from_=criteria.offset,
                size=criteria.limit,
                track_total_hits=True,
                source={"includes": ["task"]},
            )
        hits = reply["hits"]
        return Hits(hits["total"]["value"], [Task.model_validate(hit["_source"]["task"]) for hit in hits["hits"]])

    def cursor(self) -> int:
        with self._translated():
            try:
                reply = self._client.get(index=self.name, id=_CURSOR)
            except NotFoundError as error:
                if error.body.get("found") is False:
                    return 0
                raise
        return int(reply["_source"]["cursor"])

    def move(self, cursor: int) -> None:
        with self._translated():
            self._client.index(index=self.name, id=_CURSOR, document={"live": False, "cursor": cursor})

    def close(self) -> None:
        self._client.close()

    @contextlib.contextmanager
    def _translated(self, *, opening: bool = False) -> Iterator[None]:
        try:
            yield
        except UnsupportedProductError as error:
            raise SettingError(
                f"INDEX_URL cannot be used: what answers at {self._where} is no Elasticsearch"
            ) from error
        except ApiError as error:
            text = (
                f"Elasticsearch at {self._where} answered {error.meta.status}: {printable(str(error.message))[:_SHOWN]}"
            )
            if opening and error.meta.status in _REFUSED:
                raise SettingError(
                    f"INDEX_URL cannot be used: {text}; write it as http://user:password@host"
                ) from error
            raise IndexUnavailableError(text) from error
        except TransportError as error:
            raise IndexUnavailableError(
                f"no Elasticsearch at {self._where} (INDEX_URL): {printable(str(error.message))[:_SHOWN]}"
            ) from error


def _document(change: Change) -> Mapping[str, Any]:
    task = change.task
    if task is None:
        return {"live": False}
    return {
        "live": True,
        "id": str(task.id),
        "words": texts(task),
        "priority": task.priority,
        "is_done": task.is_done,
        "start": microseconds(task.dates.start),
        "due": microseconds(task.dates.due),
        "created": microseconds(task.created_at),
        "task": task.model_dump(mode="json"),
    }


def _filters(criteria: Criteria) -> list[Mapping[str, Any]]:
    filters: list[Mapping[str, Any]] = [{"term": {"live": True}}]
    if criteria.priority is not None:
        filters.append({"term": {"priority": criteria.priority}})
    if criteria.is_done is not None:
        filters.append({"term": {"is_done": criteria.is_done}})
    for field, within in (("start", criteria.start), ("due", criteria.due)):
        if within is not None:
            filters.append(_within(field, within))
    return filters


def _within(field: str, within: Range) -> Mapping[str, Any]:
    ends = {"gte": microseconds(within.since), "lte": microseconds(within.until)}
    given = {sign: moment for sign, moment in ends.items() if moment is not None}
    return {"range": {field: given}} if given else {"exists": {"field": field}}
