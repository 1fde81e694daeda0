"""Charges each order. `townpost run billing:app`"""

import logging

from shop import OrderPlaced

from townpost import App, Delivery, Reject, Retry

log = logging.getLogger("billing")
app = App()


@app.handler("orders", pattern="stream", group="billing", attempts=4, backoff=[0.2, 1, 5])
def charge(order: OrderPlaced, delivery: Delivery) -> None:
    if order.total <= 0:
        raise Reject("there is nothing to pay")
    if order.email.startswith("slow-bank@") and delivery.attempt == 1:
        raise Retry("the bank does not answer")
    log.info("charged order %d: %.2f (attempt %d)", order.number, order.total, delivery.attempt)
