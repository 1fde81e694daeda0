"""HANDLER of Townpost's own subscribers in the lab."""

import asyncio

from lab.trials import journal
from townpost import Message


def handle(message: Message) -> None:
    journal.work(str(message.id))


async def handle_async(message: Message) -> None:
    await asyncio.to_thread(journal.work, str(message.id))
