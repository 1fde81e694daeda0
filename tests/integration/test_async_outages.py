"""AsyncPublisher while Redis is away: it sends again under the same ids, or says what was not acknowledged."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import pytest
import redis
from messages import parsed

from lab.proxy import Proxy
from lab.server import Server
from townpost import AsyncPublisher
from townpost.errors import UnavailableError
from townpost.message import Message
from townpost.redis.wire import IDLE_SECONDS
from townpost.settings import Settings

Q = "message_queue"


def publisher(url: str, pattern: str = "queue") -> AsyncPublisher:
    return AsyncPublisher(settings=Settings.read(redis_url=url, pattern=pattern), report=False)


def stored(client: redis.Redis) -> list[Message]:
    return [parsed(raw) for raw in client.lrange(Q, 0, -1)]


def texts(client: redis.Redis) -> list[str]:
    return [message.message for message in stored(client)]


async def failed(sending: Awaitable[object]) -> UnavailableError:
    with pytest.raises(UnavailableError) as caught:
        await sending
    return caught.value


def kill(client: redis.Redis) -> int:
    """How many connections of publishers were closed."""
    rows = [row for row in client.client_list() if row["name"] == "townpost-publisher"]
    return sum(client.client_kill_filter(_id=row["id"]) for row in rows)


def _has(sent: list[str], count: int) -> bool:
    return len(sent) >= count


class Ticker:
    """Wakes up each millisecond, and knows how late it was at most."""

    def __init__(self) -> None:
        self.lateness = 0.0

    async def run(self) -> None:
        while True:
            due = time.monotonic() + 0.001
            await asyncio.sleep(0.001)
            self.lateness = max(self.lateness, time.monotonic() - due)


@contextlib.contextmanager
def paused(server: Server) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


async def until(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline, "it did not come to that in 10 s"
        await asyncio.sleep(0.001)


def test_an_idle_connection_that_redis_closed_is_replaced(server: Server, client: redis.Redis) -> None:
    async def main() -> None:
        async with publisher(server.url) as shared:
            await shared.send(Message.create("before"))
            assert shared._rounds is not None
            wire = shared._rounds._wire
            assert kill(client)
            while wire is not None and time.monotonic() - wire.moved < 2 * IDLE_SECONDS:
                pass  # without a turn of the loop, in which it would notice

            # When a send tries only once
            await shared.send(Message.create("after"), timeout=None)

    asyncio.run(main())
    assert texts(client) == ["before", "after"]


def test_tasks_go_on_when_their_connection_is_killed_again_and_again(server: Server, client: redis.Redis) -> None:
    async def main() -> int:
        async with publisher(server.url) as shared:
            done = asyncio.Event()
            sent: list[str] = []

            async def work(task: int) -> None:
                number = 0
                while not done.is_set():
                    number += 1
                    await shared.send(Message.create(f"{task}-{number}"))
                    sent.append(f"{task}-{number}")

            async def cut() -> None:
                for cuts in range(1, 4):
                    await until(partial(_has, sent, cuts * 500))
                    await asyncio.to_thread(kill, client)
                done.set()

            await asyncio.gather(cut(), *map(work, range(20)))
            return len(sent)

    sent = asyncio.run(main())

    # Then each message is there, under one id and one number
    messages = stored(client)
    assert len({message.message for message in messages}) == sent
    assert len({message.id for message in messages}) == sent
    assert {message.count for message in messages} == set(range(1, sent + 1))


def test_a_lost_reply_repeats_the_same_message(server: Server, client: redis.Redis) -> None:
    with Proxy(server.port) as proxy:

        async def main() -> None:
            async with publisher(proxy.url) as shared:
                proxy.swallow(b"RPUSH")
                await asyncio.gather(*(shared.send(Message.create(text)) for text in "abc"))

        asyncio.run(main())

    first, again = stored(client)[:3], stored(client)[3:]
    assert [message.encode() for message in first] == [message.encode() for message in again]


def test_without_a_timeout_the_first_failure_is_final(server: Server, client: redis.Redis) -> None:
    message = Message.create("x")
    with Proxy(server.port) as proxy:

        async def main() -> None:
            async with publisher(proxy.url) as shared:
                proxy.swallow(b"RPUSH")
                error = await failed(shared.send(message, timeout=None))

                # Then it says what was not acknowledged, which keeps its id and number
                assert error.messages == (message,)
                await shared.send(error.messages)

        asyncio.run(main())

    assert [one.encode() for one in stored(client)] == [message.encode()] * 2


def test_a_server_that_comes_back_in_time_gets_everything(own_server: Server) -> None:
    async def main() -> list[Message]:
        async with publisher(own_server.url) as shared:
            await shared.send(Message.create("before"))

            # Given a server that is gone while tasks send
            own_server.kill()
            await until(lambda: shared._rounds is not None and shared._rounds._wire is None)
            messages = [Message.create(str(n)) for n in range(50)]
            sending = [asyncio.create_task(shared.send(message)) for message in messages]
            refused = await failed(shared.send(Message.create("once"), timeout=None))
            assert "connection refused" in str(refused)

            # When it is back
            own_server.start()  # in this thread: the server ends with the thread that has started it
            await asyncio.gather(*sending)
            return messages

    messages = asyncio.run(main())

    # Then what they sent is there, once, in order
    with redis.Redis(port=own_server.port) as client:
        assert [one.id for one in stored(client)][-50:] == [message.id for message in messages]


def test_when_the_time_is_up_each_send_says_what_was_not_acknowledged() -> None:
    messages = [Message.create(str(n)) for n in range(20)]

    async def main() -> None:
        shared = publisher("redis://127.0.0.1:1")
        began = time.monotonic()
        errors = await asyncio.gather(*(failed(shared.send(message, timeout=0.3)) for message in messages))

        assert 0.3 <= time.monotonic() - began < 2
        assert [error.messages for error in errors] == [(message,) for message in messages]
        assert "connection refused" in str(errors[0])
        await shared.close()

    asyncio.run(main())


def test_a_server_that_is_not_ready_is_asked_again(server: Server, client: redis.Redis) -> None:
    # Given a server that takes no writes
    client.execute_command("REPLICAOF", "127.0.0.1", "1")

    async def main() -> None:
        async with publisher(server.url) as shared:
            try:
                assert "READONLY" in str(await failed(shared.send(Message.create("once"), timeout=None)))
                assert "READONLY" in str(await failed(shared.send(Message.create("short"), timeout=0.2)))
                sending = asyncio.create_task(shared.send(Message.create("patient")))
                await asyncio.sleep(0)
            finally:
                await asyncio.to_thread(client.execute_command, "REPLICAOF", "NO", "ONE")
            await sending

    asyncio.run(main())
    assert texts(client) == ["patient"]


@pytest.mark.alone
def test_a_paused_server_holds_up_its_senders_and_nothing_else(server: Server, client: redis.Redis) -> None:
    async def main() -> float:
        async with publisher(server.url) as shared:
            await shared.send(Message.create("before"))
            ticker = Ticker()
            ticking = asyncio.create_task(ticker.run())
            with paused(server):
                sending = [asyncio.create_task(shared.send(Message.create(str(n)))) for n in range(100)]

                # Then one that has less time is not held up by the others
                began = time.monotonic()
                error = await failed(shared.send(Message.create("hurried"), timeout=0.2))
                assert 0.2 <= time.monotonic() - began < 1
                assert error.messages[0].message == "hurried"

                # And a connection that does not answer is given up for a new one, off the loop
                await until(lambda: shared._rounds is not None and shared._rounds._dialling is not None)
            await asyncio.gather(*sending)
            ticking.cancel()
            return ticker.lateness

    lateness = asyncio.run(main())

    assert lateness < 0.05
    assert {str(n) for n in range(100)} <= set(texts(client))
    assert len({message.id for message in stored(client)}) == len(set(texts(client)))


def test_close_ends_what_waits(server: Server) -> None:
    async def main() -> None:
        shared = publisher(server.url)
        await shared.open()
        with paused(server):
            message = Message.create("x")
            waiting = asyncio.create_task(failed(shared.send(message)))
            await asyncio.sleep(0)
            await shared.close()

            error = await waiting
        assert "closed" in str(error)
        assert error.messages == (message,)
        await shared.send(Message.create("afterwards"))
        await shared.close()

    asyncio.run(main())


def test_a_loop_that_ends_amid_sends_ends_at_once(server: Server, client: redis.Redis) -> None:
    shared = publisher(server.url)
    tasks: list[asyncio.Task[object]] = []

    async def main() -> None:
        await shared.send(Message.create("before"))
        server.pause()
        tasks.extend(asyncio.create_task(shared.send(Message.create(str(n)))) for n in range(10))
        await until(lambda: shared._rounds is not None and shared._rounds._flights)

    # When the main task returns while others send
    began = time.monotonic()
    try:
        asyncio.run(main())
    finally:
        server.resume()
    assert time.monotonic() - began < 1

    # Then they are cancelled, and the publisher serves the next loop
    assert all(task.cancelled() for task in tasks)

    async def next_loop() -> None:
        await shared.send(Message.create("after"))
        await shared.close()

    asyncio.run(next_loop())
    assert texts(client)[-1] == "after"


def test_a_loop_that_is_closed_while_it_connects_leaves_nothing_behind(server: Server, client: redis.Redis) -> None:
    shared = publisher(server.url)
    loop = asyncio.new_event_loop()
    with paused(server):
        # Given a loop that is closed while a thread shakes hands for it
        task = loop.create_task(shared.send(Message.create("lost")))
        loop.run_until_complete(asyncio.sleep(0.01))
        task.cancel()
        loop.run_until_complete(asyncio.wait([task]))
        loop.close()
    for thread in threading.enumerate():
        if thread.name == "townpost-connect":
            thread.join()

    async def next_loop() -> None:
        await shared.send(Message.create("after"))
        await shared.close()

    asyncio.run(next_loop())
    assert texts(client) == ["after"]


def test_open_says_why_it_cannot() -> None:
    async def main() -> None:
        shared = publisher("redis://127.0.0.1:1")
        errors = await asyncio.gather(failed(shared.open()), failed(shared.open()))
        assert all("no Redis at redis://127.0.0.1:1: connection refused" in str(error) for error in errors)
        await shared.close()

    asyncio.run(main())
