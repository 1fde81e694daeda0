"""HANDLER of Townpost's own subscribers in the lab."""

from lab.trials import journal
from townpost.message import Message


def handle(message: Message) -> None:
    journal.work(str(message.id))
