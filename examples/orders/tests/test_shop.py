"""No Redis is needed: `pytest` in the folder above."""

import billing
import mails
from shop import OrderPlaced

from townpost.testing import deliver


def order(**others: object) -> OrderPlaced:
    return OrderPlaced.model_validate({"number": 7, "email": "ada@example.org", "total": 9.5, **others})


def test_an_order_is_charged() -> None:
    assert deliver(billing.app, order(), queue="orders", pattern="stream").handled


def test_a_slow_bank_is_asked_again() -> None:
    asked = order(email="slow-bank@example.org")

    assert deliver(billing.app, asked, queue="orders", pattern="stream").retry_after == 0.2
    assert deliver(billing.app, asked, queue="orders", pattern="stream", attempt=2).handled


def test_nothing_is_charged_for_nothing() -> None:
    outcome = deliver(billing.app, order(total=0), queue="orders", pattern="stream")

    assert (outcome.dead, str(outcome.error)) == ("rejected", "there is nothing to pay")


def test_a_mail_is_written() -> None:
    assert deliver(mails.app, order(), queue="orders", pattern="stream").handled
