"""One publisher shared by the tasks of an event loop: they share round trips, and neither replies nor errors."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis
from messages import parsed
from pydantic import BaseModel

from lab.server import Server
from townpost import AsyncPublisher, keys
from townpost.errors import (
    FullError,
    HalfSentError,
    PasswordError,
    SettingError,
    TownpostError,
    UnsendableError,
    WrongTypeError,
)
from townpost.message import Message
from townpost.receipts import Receipt
from townpost.settings import Settings

Q = "message_queue"


class Order(BaseModel):
    number: int


def publisher(server: Server, pattern: str = "queue", *, report: bool = False, **settings: object) -> AsyncPublisher:
    return AsyncPublisher(settings=Settings.read(redis_url=server.url, pattern=pattern, **settings), report=report)


def texts(client: redis.Redis, queue: str = Q) -> list[str]:
    return [parsed(raw).message for raw in client.lrange(queue, 0, -1)]


def calls(client: redis.Redis) -> dict[str, int]:
    """How often each command was run since the last CONFIG RESETSTAT."""
    return {name.removeprefix("cmdstat_"): row["calls"] for name, row in client.info("commandstats").items()}


async def outcome(sending: Awaitable[Sequence[Receipt]]) -> object:
    try:
        return tuple(receipt.pattern for receipt in await sending)
    except TownpostError as error:
        return type(error)


async def until(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline, "it did not come to that in 10 s"
        await asyncio.sleep(0)


async def gather(count: int, send: Callable[[int], Coroutine[Any, Any, list[Receipt]]]) -> list[list[Receipt]]:
    return await asyncio.gather(*(send(n) for n in range(count)))


def test_what_is_sent_in_the_same_turn_is_one_command(server: Server, client: redis.Redis) -> None:
    async def main() -> None:
        async with publisher(server) as shared:
            client.config_resetstat()

            # When a thousand tasks send at the same moment
            receipts = await gather(1000, lambda n: shared.send(Message.create(str(n))))

        # Then each has a receipt of its own
        assert [[(r.pattern, r.sent) for r in mine] for mine in receipts] == [[("queue", 1)]] * 1000
        assert len({id(mine) for mine in receipts}) == 1000
        assert shared.counts["queue"].sent == 1000

    asyncio.run(main())

    # And it took one RPUSH
    assert calls(client)["rpush"] == 1
    assert texts(client) == [str(n) for n in range(1000)]


def test_what_is_sent_during_a_round_trip_shares_the_next(server: Server, client: redis.Redis) -> None:
    async def main() -> None:
        async with publisher(server) as shared:
            client.config_resetstat()

            async def work(task: int) -> None:
                for n in range(20):
                    await shared.send(Message.create(f"{task}-{n}"))

            await asyncio.gather(*map(work, range(100)))

    asyncio.run(main())

    # Then there was one round trip for each turn, and each task's messages are in its order
    assert calls(client)["rpush"] == 20
    for task in range(100):
        mine = [text for text in texts(client) if text.startswith(f"{task}-")]
        assert mine == [f"{task}-{n}" for n in range(20)]
    counts = [parsed(raw).count for raw in client.lrange(Q, 0, -1)]
    assert counts == list(range(1, 2001))


def test_several_queues_take_one_command_each(server: Server, client: redis.Redis) -> None:
    async def main() -> None:
        async with publisher(server) as shared:
            client.config_resetstat()
            await gather(90, lambda n: shared.send(Message.create(str(n)), to=f"q{n % 3}"))

    asyncio.run(main())

    assert calls(client)["rpush"] == 3
    assert texts(client, "q1") == [str(n) for n in range(90) if n % 3 == 1]


@pytest.mark.parametrize("pattern", ["pubsub", "reliable", "stream"])
def test_every_pattern_shares_round_trips(server: Server, pattern: str) -> None:
    async def main() -> None:
        async with publisher(server, pattern) as shared:
            receipts = await gather(50, lambda n: shared.send([Message.create(str(n)), Message.create("second")]))

            assert [[(r.pattern, r.sent) for r in mine] for mine in receipts] == [[(pattern, 2)]] * 50
            assert shared.counts[pattern].sent == 100

    asyncio.run(main())


def test_several_patterns_stay_in_one_multi_each(server: Server, client: redis.Redis) -> None:
    async def main() -> None:
        async with publisher(server, "all") as shared:
            client.config_resetstat()
            receipts = await gather(10, lambda n: shared.send(Message.create(str(n))))

            assert all([r.pattern for r in mine] == ["pubsub", "queue", "reliable", "stream"] for mine in receipts)

    asyncio.run(main())

    assert calls(client)["multi"] == 10
    assert texts(client) == texts(client, "reliable_queue") == [str(n) for n in range(10)]


def test_a_refused_message_fails_only_where_it_was_sent(server: Server, client: redis.Redis) -> None:
    client.set("text", "a string")

    async def main() -> list[object]:
        async with publisher(server) as shared:
            sending = []
            for n in range(20):
                sending += [
                    shared.send(Message.create(str(n))),
                    shared.send(Message.create("x" * 2_000_000)),
                    shared.send(Message.create("\ud800")),
                    shared.send(Message.create(str(n)), to="text"),
                ]
            return await asyncio.gather(*map(outcome, sending))

    outcomes = asyncio.run(main())

    assert outcomes == [("queue",), UnsendableError, UnsendableError, WrongTypeError] * 20
    assert texts(client) == [str(n) for n in range(20)]


def test_a_full_queue_refuses_each_send_by_itself(server: Server) -> None:
    async def main() -> list[object]:
        async with publisher(server, "reliable", reliable_limit=10) as shared:
            await shared.send(Message.create("first"))
            sizes = [50, 1] * 9
            return await asyncio.gather(*(outcome(shared.send([Message.create("x")] * size)) for size in sizes))

    assert asyncio.run(main()) == [FullError, ("reliable",)] * 9


def test_delays_and_priorities_are_kept_beside_plain_messages(server: Server, client: redis.Redis) -> None:
    async def main() -> None:
        async with publisher(server, "reliable") as shared:
            await asyncio.gather(
                *(shared.send(Message.create(f"plain {n}")) for n in range(5)),
                shared.send(Message.create("urgent", priority=9)),
                shared.send(Message.create("later"), delay=60),
                shared.send(Message.create("plain 5")),
            )

    asyncio.run(main())

    assert texts(client, "reliable_queue") == [f"plain {n}" for n in range(6)]
    assert client.zcard(keys.of("reliable_queue").priority) == 1
    assert client.zcard(keys.of("reliable_queue").scheduled) == 1


def test_the_half_that_redis_refused_is_named(server: Server, client: redis.Redis) -> None:
    client.set(Q, "a string")

    async def main() -> None:
        async with publisher(server, "both") as shared:
            with pytest.raises(HalfSentError) as caught:
                await shared.send(Message.create("hi"))
        assert caught.value.missing == ("queue",)

    asyncio.run(main())


def test_a_long_queue_goes_in_several_writes_and_in_order(server: Server, client: redis.Redis) -> None:
    async def main() -> None:
        async with publisher(server) as shared:
            client.config_resetstat()
            await gather(60, lambda n: shared.send(Message.create(f"{n} " + "x" * 500_000)))

    asyncio.run(main())

    assert 1 < calls(client)["rpush"] < 20
    assert [text.partition(" ")[0] for text in texts(client)] == [str(n) for n in range(60)]


def test_a_stream_is_trimmed(server: Server, client: redis.Redis) -> None:
    for _ in range(2000):
        client.xadd("message_stream", {"message": "old"})

    async def main() -> None:
        async with publisher(server, "stream", stream_maxlen=10) as shared:
            await gather(10, lambda n: shared.send(Message.create(str(n))))

    asyncio.run(main())

    assert client.xlen("message_stream") < 200


def test_a_cancelled_task_breaks_nothing(server: Server, client: redis.Redis) -> None:
    async def main() -> None:
        async with publisher(server) as shared:
            # Given tasks that send, of which every other is cancelled before the round trip begins
            sending = [asyncio.create_task(shared.send(Message.create(str(n)))) for n in range(20)]
            asyncio.get_running_loop().call_soon(lambda: [task.cancel() for task in sending[1::2]])
            await asyncio.wait(sending)

            assert [task.cancelled() for task in sending] == [False, True] * 10

    asyncio.run(main())

    # Then the cancelled have sent nothing, and taken no number
    assert texts(client) == [str(n) for n in range(0, 20, 2)]
    assert [parsed(raw).count for raw in client.lrange(Q, 0, -1)] == list(range(1, 11))


def test_a_task_cancelled_amid_a_round_trip_breaks_nothing(server: Server, client: redis.Redis) -> None:
    async def main() -> None:
        async with publisher(server) as shared:
            server.pause()
            try:
                sending = [asyncio.create_task(shared.send(Message.create(str(n)))) for n in range(4)]
                await until(lambda: shared._rounds is not None and shared._rounds._flights)
                sending[0].cancel()
                after = asyncio.create_task(shared.send(Message.create("after")))
            finally:
                server.resume()
            await asyncio.wait([*sending, after])

            assert [task.cancelled() for task in sending] == [True, False, False, False]
            assert (await after)[0].sent == 1

    asyncio.run(main())

    assert texts(client) == ["0", "1", "2", "3", "after"]


def test_nothing_is_connected_before_the_first_send(server: Server, client: redis.Redis) -> None:
    # Given a publisher made where no loop runs
    shared = publisher(server)
    assert not [row for row in client.client_list() if row["name"] == "townpost-publisher"]

    async def main() -> list[Receipt]:
        receipts = await shared.send(Message.create("hi"))
        await shared.close()
        return receipts

    assert asyncio.run(main())[0].sent == 1


def test_it_serves_one_loop_after_the_other(server: Server, client: redis.Redis) -> None:
    shared = publisher(server)

    async def main(text: str) -> None:
        await shared.send(Message.create(text))

    asyncio.run(main("first"))
    asyncio.run(main("second"))
    asyncio.run(shared.close())

    assert texts(client) == ["first", "second"]


def test_two_loops_at_a_time_are_refused(server: Server) -> None:
    async def main() -> None:
        async with publisher(server) as shared:
            with pytest.raises(SettingError, match="another event loop"):
                await asyncio.to_thread(asyncio.run, shared.send(Message.create("x")))

    asyncio.run(main())


def test_nothing_to_send_is_nothing_sent(server: Server) -> None:
    async def main() -> None:
        async with publisher(server) as shared:
            assert await shared.send([]) == []

    asyncio.run(main())


def test_models_are_sent_to_the_queue_named(server: Server, client: redis.Redis) -> None:
    async def main() -> None:
        async with publisher(server, sender="shop") as shared:
            await shared.send(Order(number=7), to="orders", key="customer 3", id=str(UUID(int=5)))

    asyncio.run(main())

    (message,) = map(parsed, client.lrange("orders", 0, -1))
    assert (message.data, message.type, message.message) == ({"number": 7}, "Order", "Order")
    assert (message.key, message.id, message.sender, message.count) == ("customer 3", UUID(int=5), "shop", 1)


def test_a_wrong_password_is_said_to_all_who_wait(own_server: Server) -> None:
    with redis.Redis(port=own_server.port) as client:
        client.config_set("requirepass", "secret")

    async def main() -> list[object]:
        shared = publisher(own_server)
        outcomes = await asyncio.gather(*(outcome(shared.send(Message.create("x"))) for _ in range(3)))
        await shared.close()
        return outcomes

    assert asyncio.run(main()) == [PasswordError] * 3


def test_it_is_known_to_the_dashboard(server: Server, client: redis.Redis) -> None:
    def reported() -> list[Any]:
        found = [client.get(key) for key in client.keys(keys.instance("*"))]
        reports = [json.loads(report) for report in found if isinstance(report, bytes)]
        return [report for report in reports if report["patterns"]["queue"]["sent"] == 1]

    async def main() -> None:
        async with publisher(server, report=True) as shared:
            await shared.send(Message.create("x"))
            await until(reported)

    asyncio.run(main())

    assert [report["ended"] for report in reported()] == [True]


def test_a_unix_socket_is_no_other(tmp_path: Path) -> None:
    with Server("--unixsocket", str(tmp_path / "s"), appendfsync=None) as own:
        settings = Settings.read(redis_url=f"unix://{tmp_path / 's'}", pattern="queue")

        async def main() -> None:
            async with AsyncPublisher(settings=settings, report=False) as shared:
                await gather(100, lambda n: shared.send(Message.create(str(n))))

        asyncio.run(main())
        with redis.Redis(port=own.port) as client:
            assert texts(client) == [str(n) for n in range(100)]
