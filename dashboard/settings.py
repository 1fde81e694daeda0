"""The settings of the dashboard, beside those that every service has."""

from typing import Annotated

from pydantic import AfterValidator, Field

from townpost import Settings

__all__ = ["DashboardSettings"]

_LEAST_TOKEN = 8


def _token(token: str | None) -> str | None:
    if token is not None and (len(token) < _LEAST_TOKEN or not token.isascii() or not token.isprintable()):
        raise ValueError(f"at least {_LEAST_TOKEN} printable ASCII characters")
    return token


def _hosts(names: str) -> str:
    for name in names.split(","):
        if any(c in name.strip() for c in "/@*? "):
            raise ValueError("host names separated by commas, without a port, e.g. dashboard,townpost.example.org")
    return names


class DashboardSettings(Settings):
    """Field `dashboard_port` is the variable DASHBOARD_PORT, and so on."""

    dashboard_host: str = "127.0.0.1"
    dashboard_port: Annotated[int, Field(ge=0, le=65535)] = 8321
    dashboard_hosts: Annotated[str, AfterValidator(_hosts)] = ""
    dashboard_write: bool = False
    dashboard_token: Annotated[str | None, Field(repr=False), AfterValidator(_token)] = None

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """The host names that a browser may have in its address line."""
        named = {name.strip().lower() for name in self.dashboard_hosts.split(",") if name.strip()}
        return frozenset({"localhost", "127.0.0.1", "::1"} | named)
