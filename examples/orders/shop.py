"""What the services of the shop tell each other."""

from pydantic import BaseModel


class OrderPlaced(BaseModel):
    number: int
    email: str
    total: float
