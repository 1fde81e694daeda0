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


def test_a_message_without_a_number_gets_one_after_another_that_has_its_own() -> None:
    numbering = Numbering()
    own, none = Message.create("own", count=7, epoch="mine"), Message.create("none")

    numbering.number([own, none], "queue")

    assert (own.count, none.count) == (7, 1)
    assert none.epoch is not None
    assert len(none.epoch) == 8


def test_only_the_number_that_was_just_given_is_taken_back() -> None:
    numbering = Numbering()
    own, none = Message.create("own", count=7, epoch="mine"), Message.create("none")
    numbered = numbering.number([own, none], "queue")

    numbering.take_back(numbered, "queue")

    assert (own.count, none.count, none.epoch) == (7, 1, None)
    assert not none.numbered


def test_nothing_is_taken_back_for_a_place_that_is_forgotten() -> None:
    Numbering().take_back([message := Message.create("x")], "nowhere")

    assert message.count == 1


def test_the_longest_unused_place_is_forgotten_first() -> None:
    numbering = Numbering()
    for n in range(1_001):
        numbering.number([Message.create("x")], f"reply:{n}")

    assert ("python-publisher", "reply:0") not in numbering._sequences
    assert ("python-publisher", "reply:1000") in numbering._sequences
