"""The Python of docs/library.md runs as it stands."""

import re

from lab.processes import ROOT
from townpost import App

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "library.md").read_text(), re.DOTALL)


def test_every_handler_of_the_page_can_be_served() -> None:
    # Given all that the page shows, one after the other
    shown: dict[str, object] = {"__name__": "shown"}
    for block in BLOCKS:
        exec(compile(block, "docs/library.md", "exec"), shown)  # noqa: S102 - it is ours

    # Then its apps are sound
    apps = [found for found in shown.values() if isinstance(found, App)]
    assert len(apps) == 2
    names = {one.name for one in apps[0].subscriptions()}
    assert names == {"orders", "orders.log", "refunds", "mails"}
