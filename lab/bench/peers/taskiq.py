"""taskiq on Redis lists or streams.

Promises: a list at most once (BRPOP); a stream at least once, acknowledged message by message (its idle timeout
is ten minutes). Tuned: uvloop (its command line takes it when it is there), orjson, no parsing of parameters.
"""

from taskiq.api import run_receiver_task
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import ListQueueBroker, RedisStreamBroker

from lab.bench.peers.role import at_once, batches, handler, run, tuned, url, variant

_broker = (
    ListQueueBroker(url, queue_name="tq")
    if variant == "list"
    # from the beginning: its default sees nothing of what was sent before the first worker
    else RedisStreamBroker(url, queue_name="tq", consumer_id="0", xread_count=500 if tuned else 100)
)
if tuned:
    _broker = _broker.with_serializer(ORJSONSerializer())


handle = _broker.task(task_name="handle")(handler)


def work() -> None:
    several = {"max_async_tasks": at_once, "sync_workers": at_once} if at_once else {}
    run(run_receiver_task(_broker, run_startup=True, validate_params=not tuned, **several))


def publish() -> None:
    async def all_of_them() -> None:
        await _broker.startup()
        for batch in batches():
            for message in batch:
                await handle.kiq(message)
        await _broker.shutdown()

    run(all_of_them())
