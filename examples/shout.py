"""A handler of your own: run the subscriber with HANDLER=examples.shout:shout."""

from townpost import Message


def shout(message: Message) -> None:
    print(message.message.upper(), flush=True)  # noqa: T201 - its work is to print
