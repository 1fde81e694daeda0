"""Running numbers: nobody is to miss what was never sent, and nothing grows without end."""

from townpost.message import Message
from townpost.publishing.numbering import Numbering


def test_numbers_that_were_taken_back_are_given_again() -> None:
    # Given two messages, of which the second is not sent after all
    numbering = Numbering()
    one, other, third = (Message.create(text) for text in ("one", "too long", "three"))
    numbering.number([one], "queue")
    numbering.take_back(numbering.number([other], "queue"), "queue")

    # When another is numbered, then there is no gap, and it may be sent later with a number of its own
    numbering.number([third], "queue")
    assert (one.count, third.count) == (1, 2)
    assert not other.numbered
    numbering.number([other], "queue")
    assert (other.count, other.epoch) == (3, one.epoch)


def test_a_message_that_had_a_number_keeps_it() -> None:
    numbering = Numbering()
    own = Message.create("own", count=7, epoch="mine")

    numbering.take_back(numbering.number([own], "queue"), "queue")

    assert (own.count, own.epoch) == (7, "mine")


def test_names_that_are_made_up_for_each_send_are_forgotten() -> None:
    numbering = Numbering()
    for n in range(3_000):
        numbering.number([Message.create("x")], f"reply:{n}")

    assert len(numbering._sequences) == 1_000
