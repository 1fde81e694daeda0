"""examples/orders in containers, from the wheel, as its README says."""

import os
from collections.abc import Iterator

import httpx
import pytest
from ports import free_port
from test_compose import Stack, until

pytestmark = [pytest.mark.compose, pytest.mark.timeout(600)]

PORT = free_port()


class OrdersStack(Stack):
    """A project of its own beside those of the other tests."""

    project = f"townpost-orders-test-{os.getpid()}"

    def compose(self, *arguments: str, **environment: str) -> str:
        return super().compose(
            "-f", "examples/orders/docker-compose.yml", *arguments, ORDERS_PORT=str(PORT), **environment
        )


@pytest.fixture(scope="module")
def stack() -> Iterator[OrdersStack]:
    stack = OrdersStack()
    try:
        stack.compose("build")
        stack.compose("up", "--detach")
        yield stack
    finally:
        stack.compose("down", "--volumes", "--rmi", "local", "--timeout", "5")


def test_an_order_is_charged_and_a_mail_is_written(stack: OrdersStack) -> None:
    # Given the web service, which takes a moment to start
    def placed() -> bool:
        order = {"number": 7, "email": "ada@example.org", "total": 9.5}
        try:
            return httpx.post(f"http://127.0.0.1:{PORT}/orders", json=order, trust_env=False).status_code == 202
        except httpx.HTTPError:
            return False

    # When an order is placed
    until(placed)

    # Then both workers have handled it
    until(lambda: "charged order 7: 9.50 (attempt 1)" in stack.logs("billing"))
    until(lambda: "wrote to ada@example.org about order 7" in stack.logs("mails"))
