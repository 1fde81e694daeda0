"""The web service: takes orders, and tells the others. `uvicorn orders:app`"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from shop import OrderPlaced

from townpost import AsyncPublisher

publisher = AsyncPublisher("stream")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    await publisher.close()


app = FastAPI(title="Orders", lifespan=lifespan)


@app.post("/orders", status_code=202)
async def place(order: OrderPlaced) -> dict[str, int]:
    await publisher.send(order, to="orders")  # returns when Redis has it
    return {"number": order.number}


@app.get("/alive")
async def alive() -> dict[str, bool]:
    return {"alive": True}
