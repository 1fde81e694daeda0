"""Writes a mail for each order, a hundred at a time. `townpost run mails:app`"""

import asyncio
import logging

from shop import OrderPlaced

from townpost import App

log = logging.getLogger("mails")
app = App()


@app.handler("orders", pattern="stream", group="email", concurrency=100)
async def send_receipt(order: OrderPlaced) -> None:
    await asyncio.sleep(0.2)  # stands for the mail server
    log.info("wrote to %s about order %d", order.email, order.number)
