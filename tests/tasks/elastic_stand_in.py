"""A small stand-in for Elasticsearch: the few requests that the index makes, answered as published, all else refused.

Taken from Elastic's REST API specification (paths, methods, parameters), its YAML REST tests (external versions,
strict mappings) and its reference (bulk format, refresh). It holds documents in memory; a document can be found only
after a refresh. It is no Elasticsearch: analysis and scoring are imitations.
"""

import json
import re
import threading
import unicodedata
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

Reply: TypeAlias = tuple[int, Any]

_ROUTES = (
    # method, path, parameters, content type
    ("PUT", r"/_index_template/([^/]+)", {"create", "cause", "master_timeout"}, "json"),
    ("PUT", r"/([^/_][^/]*)", {"wait_for_active_shards", "timeout", "master_timeout"}, "json"),
    ("POST|PUT", r"/([^/_][^/]*)/_bulk", {"refresh", "routing", "timeout", "pipeline", "require_alias"}, "x-ndjson"),
    ("GET|POST", r"/([^/_][^/]*)/_search", {"routing", "preference", "timeout"}, "json"),
    ("GET", r"/([^/_][^/]*)/_doc/([^/]+)", {"realtime", "refresh", "routing", "version"}, "json"),
    ("PUT|POST", r"/([^/_][^/]*)/_doc/([^/]+)", {"refresh", "version", "version_type", "timeout"}, "json"),
)
_SEARCH_KEYS = {"query", "sort", "from", "size", "track_total_hits", "_source"}
_WINDOW = 10_000


class RefusedError(Exception):
    """An error as Elasticsearch words it."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.error = {"type": kind, "reason": reason}


class Index:
    """Documents with versions, and what a search sees of them."""

    def __init__(self, mappings: dict[str, Any]) -> None:
        self.properties = mappings.get("properties", {})
        self.strict = mappings.get("dynamic") == "strict"
        self.documents: dict[str, tuple[int, dict[str, Any]]] = {}
        self.visible: dict[str, dict[str, Any]] = {}

    def put(self, doc_id: str, document: dict[str, Any], version: int | None, version_type: str | None) -> Reply:
        current = self.documents.get(doc_id)
        if version_type == "external":
            if version is None:
                raise RefusedError(400, "action_request_validation_exception", "external version needs a version")
            if current is not None and version <= current[0]:
                raise RefusedError(
                    409,
                    "version_conflict_engine_exception",
                    f"[{doc_id}]: version conflict, current version [{current[0]}] is higher or equal to the one "
                    f"provided [{version}]",
                )
        elif version is not None:
            raise RefusedError(400, "action_request_validation_exception", "internal versioning can not be used")
        for field, value in document.items():
            self._check(field, value)
        number = version if version is not None else current[0] + 1 if current else 1
        self.documents[doc_id] = (number, document)
        result = "updated" if current else "created"
        return (200 if current else 201), {"_id": doc_id, "_version": number, "result": result}

    def _check(self, field: str, value: object) -> None:
        kind = self.properties.get(field, {}).get("type")
        if kind is None and self.strict:
            raise RefusedError(400, "strict_dynamic_mapping_exception", f"dynamic introduction of [{field}] forbidden")
        values = value if isinstance(value, list) else [value]
        fitting: dict[str | None, Callable[[object], bool]] = {
            "long": lambda v: isinstance(v, int) and not isinstance(v, bool) and -(2**63) <= v < 2**63,
            "boolean": lambda v: isinstance(v, bool),
            "keyword": lambda v: isinstance(v, str),
            "text": lambda v: isinstance(v, str),
            "object": lambda v: isinstance(v, dict),
        }
        if not all(v is None or fitting[kind](v) for v in values):
            raise RefusedError(400, "document_parsing_exception", f"failed to parse field [{field}] of type [{kind}]")

    def refresh(self) -> None:
        self.visible = {doc_id: document for doc_id, (_, document) in self.documents.items()}

    def search(self, body: dict[str, Any]) -> Reply:
        if unknown := body.keys() - _SEARCH_KEYS:
            raise RefusedError(400, "parsing_exception", f"unknown key for a VALUE in {sorted(unknown)}")
        first, size = body.get("from", 0), body.get("size", 10)
        if first + size > _WINDOW:
            raise RefusedError(400, "illegal_argument_exception", "Result window is too large")
        scored = [(self._score(body["query"], doc), doc) for doc in self.visible.values()]
        hits = [(score, doc) for score, doc in scored if score is not None]
        for order in reversed(body.get("sort", [])):
            ((field, direction),) = order.items()
            hits.sort(
                key=lambda hit, field=field: hit[0] if field == "_score" else hit[1][field],  # type: ignore[misc]  # mypy infers no lambda that has a default
                reverse=direction == "desc",
            )
        page = [{"_source": {k: doc[k] for k in body["_source"]["includes"]}} for _, doc in hits[first : first + size]]
        return 200, {"hits": {"total": {"value": len(hits), "relation": "eq"}, "hits": page}}

    def _score(self, query: dict[str, Any], doc: dict[str, Any]) -> float | None:
        """None: no hit."""
        ((kind, body),) = query.items()
        if kind == "bool":
            scores = [self._score(part, doc) for part in (*body["filter"], *body["must"])]
            return None if None in scores else sum(score for score in scores if score is not None)
        ((field, given),) = body.items()
        if kind == "match":
            return _matched(given, doc.get(field, []))
        value = doc.get(given if kind == "exists" else field)
        if kind == "term":
            hit = value == given
        elif kind in ("exists", "range"):
            hit = value is not None
            if kind == "range":
                hit = hit and given.get("gte", value) <= value <= given.get("lte", value)
        else:
            raise RefusedError(400, "parsing_exception", f"unknown query [{kind}]")
        return 0 if hit else None


def _matched(query: dict[str, Any], texts: list[str]) -> float | None:
    if query["operator"] != "and" or query["zero_terms_query"] != "all":
        raise RefusedError(400, "parsing_exception", "not in this stand-in")
    there = _analysed("\n".join(texts))
    found = [there.count(word) for word in _analysed(query["query"])]
    return sum(found) / (len(there) or 1) if all(found) else None


def _analysed(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"\w+", "".join(c for c in folded if not unicodedata.combining(c)))


class ElasticStandIn:
    """Use it in a `with`; `url` says where it is."""

    def __init__(self) -> None:
        self.templates: dict[str, dict[str, Any]] = {}
        self.indexes: dict[str, Index] = {}
        self.requests: list[str] = []
        self.faults: list[int] = []
        """Statuses to answer the next requests with, instead of doing what they say."""
        self.item_faults: list[tuple[int, str]] = []
        """(status, type) to answer the next items of a bulk with."""
        self.refuses_login = False
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, method: str, target: str, content_type: str, body: bytes) -> Reply:
        parts = urlsplit(target)
        parameters = dict(parse_qsl(parts.query))
        with self.lock:
            self.requests.append(f"{method} {target}")
            if self.refuses_login:
                raise RefusedError(401, "security_exception", "unable to authenticate user")
            if self.faults:
                raise RefusedError(self.faults.pop(0), "es_rejected_execution_exception", "queue is full")
            for methods, path, known, format_ in _ROUTES:
                match = re.fullmatch(path, parts.path)
                if match is None or method not in methods.split("|"):
                    continue
                if unknown := parameters.keys() - known:
                    reason = f"request [{parts.path}] contains unrecognized parameter: {sorted(unknown)}"
                    raise RefusedError(400, "illegal_argument_exception", reason)
                if body and content_type != f"application/vnd.elasticsearch+{format_}; compatible-with=9":
                    raise RefusedError(406, "media_type_header_exception", f"Invalid media-type value {content_type}")
                return self._do(method, path, [unquote(word) for word in match.groups()], parameters, body)
        raise RefusedError(405, "method_not_allowed", f"no handler found for uri [{parts.path}] and method [{method}]")

    def _do(self, method: str, path: str, names: list[str], parameters: dict[str, str], body: bytes) -> Reply:
        if "_index_template" in path:
            template = json.loads(body)
            if unknown := template.keys() - {"index_patterns", "template", "priority", "version", "_meta"}:
                raise RefusedError(400, "x_content_parse_exception", f"unknown field {sorted(unknown)}")
            self.templates[names[0]] = template
            return 200, {"acknowledged": True}
        if not path.endswith(("_bulk", "_search")) and len(names) == 1:
            return self._create(names[0])
        index = self.indexes.get(names[0])
        if index is None:
            raise RefusedError(404, "index_not_found_exception", f"no such index [{names[0]}]")
        if path.endswith("_bulk"):
            reply = self._bulk(index, body)
        elif path.endswith("_search"):
            return index.search(json.loads(body))
        elif method == "GET":
            version, document = index.documents.get(names[1], (0, None))
            found = {"_index": names[0], "_id": names[1], "found": document is not None}
            return (200, found | {"_version": version, "_source": document}) if document else (404, found)
        else:
            version_given = int(parameters["version"]) if "version" in parameters else None
            reply = index.put(names[1], json.loads(body), version_given, parameters.get("version_type"))
        if parameters.get("refresh") in ("true", "wait_for", ""):
            index.refresh()
        return reply

    def _create(self, name: str) -> Reply:
        if name in self.indexes:
            raise RefusedError(400, "resource_already_exists_exception", f"index [{name}] already exists")
        if not re.fullmatch(r"[^-_+A-Z][^A-Z\\/*?\"<>| ,#:]*", name):
            raise RefusedError(400, "invalid_index_name_exception", f"Invalid index name [{name}]")
        fitting = [t for t in self.templates.values() if name in t["index_patterns"]]
        self.indexes[name] = Index(fitting[0]["template"]["mappings"] if fitting else {})
        return 200, {"acknowledged": True, "shards_acknowledged": True, "index": name}

    def _bulk(self, index: Index, body: bytes) -> Reply:
        if not body.endswith(b"\n"):
            raise RefusedError(400, "illegal_argument_exception", "The bulk request must be terminated by a newline")
        lines = [json.loads(line) for line in body.splitlines()]
        items = []
        for action, document in zip(lines[::2], lines[1::2], strict=True):
            ((kind, meta),) = action.items()
            if kind != "index" or meta.keys() - {"_index", "_id", "version", "version_type", "routing"}:
                raise RefusedError(400, "illegal_argument_exception", f"Malformed action/metadata line: {action}")
            if self.item_faults:
                status, fault = self.item_faults.pop(0)
                result = {"_id": meta["_id"], "error": {"type": fault, "reason": "as the test wants it"}}
            else:
                status, result = self._item(index, meta, document)
            items.append({"index": result | {"status": status}})
        return 200, {"took": 1, "errors": any("error" in item["index"] for item in items), "items": items}

    def _item(self, index: Index, meta: dict[str, Any], document: dict[str, Any]) -> Reply:
        try:
            return index.put(meta["_id"], document, meta.get("version"), meta.get("version_type"))
        except RefusedError as error:
            return error.status, {"_id": meta["_id"], "error": error.error}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    content_type = self.headers.get("Content-Type") or ""
                    status, reply = stand_in.answer(self.command, self.path, content_type, body)
                except RefusedError as error:
                    status = error.status
                    reply = {"error": {"root_cause": [error.error], **error.error}, "status": status}
                data = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("X-Elastic-Product", "Elasticsearch")
                self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=9")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815 - as the library wants them

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library names it
                pass

        return Handler
