"""Elasticsearch as it behaves when it does not do what it is told; and the stand-in, held against what is published."""

import socket
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from elastic_stand_in import ElasticStandIn
from elasticsearch import ApiError, BadRequestError, ConflictError, Elasticsearch
from made import put

from tasks.index.contract import Criteria, IndexUnavailableError
from tasks.index.elastic import ElasticIndex
from townpost.errors import SettingError


@pytest.fixture
def server() -> Iterator[ElasticStandIn]:
    with ElasticStandIn() as server:
        yield server


@pytest.fixture
def index(server: ElasticStandIn) -> Iterator[ElasticIndex]:
    index = ElasticIndex(server.url, "tasks")
    index.open()
    yield index
    index.close()


@pytest.fixture
def client(server: ElasticStandIn) -> Iterator[Elasticsearch]:
    """The official client on its own."""
    with Elasticsearch(server.url) as client:
        yield client


class TestRequests:
    def test_a_batch_is_one_request_that_waits_until_it_can_be_found(
        self, index: ElasticIndex, server: ElasticStandIn
    ) -> None:
        server.requests.clear()

        index.apply([put() for _ in range(100)])

        assert server.requests == ["PUT /tasks-index/_bulk?refresh=wait_for"]

    def test_opening_twice_changes_nothing(self, index: ElasticIndex) -> None:
        index.apply([put("buy milk")])

        index.open()

        assert index.search(Criteria()).total == 1

    @pytest.mark.parametrize("prefix", ["Tasks", "shop:tasks", "_tasks", "a.b"])
    def test_any_prefix_makes_a_name_that_elasticsearch_takes(self, server: ElasticStandIn, prefix: str) -> None:
        index = ElasticIndex(server.url, prefix)

        index.open()

        assert index.cursor() == 0
        index.close()


class TestFaults:
    def test_a_passing_fault_is_retried(self, index: ElasticIndex, server: ElasticStandIn) -> None:
        server.faults = [503, 429]

        assert index.apply([put("buy milk")]) == 1

    def test_a_lasting_one_is_told(self, index: ElasticIndex, server: ElasticStandIn) -> None:
        server.faults = [503] * 3

        with pytest.raises(IndexUnavailableError, match="answered 503: es_rejected_execution_exception"):
            index.apply([put("buy milk")])

    def test_a_task_that_is_not_accepted_is_told_though_the_others_were(
        self, index: ElasticIndex, server: ElasticStandIn
    ) -> None:
        server.item_faults = [(429, "es_rejected_execution_exception")]

        with pytest.raises(IndexUnavailableError, match=r"did not accept 1 of 2 tasks: es_rejected_execution"):
            index.apply([put("buy milk"), put("buy tea")])

    def test_giving_all_of_them_again_does_no_harm(self, index: ElasticIndex, server: ElasticStandIn) -> None:
        changes = [put("buy milk"), put("buy tea")]
        server.item_faults = [(429, "es_rejected_execution_exception")]
        with pytest.raises(IndexUnavailableError):
            index.apply(changes)

        assert index.apply(changes) == 1

        assert index.search(Criteria()).total == 2

    def test_nobody_there_is_one_line_with_the_setting(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://user:secret@127.0.0.1:{free.getsockname()[1]}"
        index = ElasticIndex(url, "tasks")

        with pytest.raises(IndexUnavailableError, match=r"no Elasticsearch at http://127.0.0.1:\d+ \(INDEX_URL\)") as e:
            index.open()

        assert "secret" not in str(e.value)
        assert "\n" not in str(e.value)
        index.close()

    def test_a_refused_login_is_a_wrong_setting(self, server: ElasticStandIn) -> None:
        server.refuses_login = True
        index = ElasticIndex(server.url, "tasks")

        with pytest.raises(SettingError, match=r"INDEX_URL cannot be used: .* answered 401"):
            index.open()

        index.close()

    def test_an_index_that_vanished_is_told(self, index: ElasticIndex, server: ElasticStandIn) -> None:
        server.indexes.clear()

        for action in (index.cursor, lambda: index.apply([put()]), lambda: index.search(Criteria())):
            with pytest.raises(IndexUnavailableError, match="answered 404: index_not_found_exception"):
                action()


class TestTheStandIn:
    """As in Elastic's own YAML tests `index/35_external_version` and `bulk`, and in its reference."""

    def test_of_external_versions_only_a_greater_one_is_taken(self, client: Elasticsearch) -> None:
        client.indices.create(index="test_1")

        for version, taken in ((0, True), (5, True), (5, False), (0, False), (6, True)):
            if taken:
                reply = client.index(index="test_1", id="1", document={}, version=version, version_type="external")
                assert reply["_version"] == version
            else:
                with pytest.raises(ConflictError):
                    client.index(index="test_1", id="1", document={}, version=version, version_type="external")

    def test_a_conflict_in_a_bulk_is_of_its_item_alone(self, client: Elasticsearch) -> None:
        client.indices.create(index="test_1")
        actions = [{"index": {"_id": "1", "version": version, "version_type": "external"}} for version in (2, 1)]
        other = {"index": {"_id": "2", "version": 1, "version_type": "external"}}

        reply = client.bulk(index="test_1", operations=[actions[0], {}, actions[1], {}, other, {}])

        assert reply["errors"] is True
        assert [item["index"]["status"] for item in reply["items"]] == [201, 409, 201]
        assert reply["items"][1]["index"]["error"]["type"] == "version_conflict_engine_exception"

    def test_what_is_not_refreshed_is_not_found(self, client: Elasticsearch) -> None:
        client.indices.create(index="test_1")
        everything: dict[str, Any] = {"bool": {"filter": [], "must": []}}

        client.index(index="test_1", id="1", document={})
        assert client.search(index="test_1", query=everything)["hits"]["total"]["value"] == 0
        client.index(index="test_1", id="1", document={}, refresh="wait_for")
        assert client.search(index="test_1", query=everything, source={"includes": []})["hits"]["total"]["value"] == 1

    def test_a_field_that_a_strict_mapping_does_not_name_is_refused(self, client: Elasticsearch) -> None:
        mapping = {"mappings": {"dynamic": "strict", "properties": {"a": {"type": "long"}}}}
        client.indices.put_index_template(name="t", index_patterns=["test_1"], template=mapping)
        client.indices.create(index="test_1")

        with pytest.raises(BadRequestError, match="strict_dynamic_mapping_exception"):
            client.index(index="test_1", id="1", document={"b": 1})
        with pytest.raises(BadRequestError, match="document_parsing_exception"):
            client.index(index="test_1", id="1", document={"a": "one"})

    def test_what_it_does_not_know_it_refuses(self, client: Elasticsearch) -> None:
        client.indices.create(index="test_1")

        with pytest.raises(ApiError):
            client.delete(index="test_1", id=str(uuid4()))
        with pytest.raises(BadRequestError, match="unrecognized parameter"):
            client.index(index="test_1", id="1", document={}, op_type="create")
