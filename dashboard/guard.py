"""Who may ask: the checks every request passes before anything is done for it.

* The host must be one of ours, or a page on evil.example could have its name point here (DNS rebinding).
* /api answers no request that a browser says comes from another site.
* What changes anything is JSON with a header of our own, which no page of another site can send unasked; from our own
  origin; and only with DASHBOARD_WRITE.
* With DASHBOARD_TOKEN, /api and /metrics want it, as a bearer or as the cookie of a login.
"""

import hashlib
import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .settings import DashboardSettings

__all__ = ["COOKIE", "Guard", "Keys"]

COOKIE = "townpost_session"
_OPEN = ("/api/session", "/api/login", "/api/logout")
_NO_TOKEN = (401, "a token is needed: DASHBOARD_TOKEN")
_HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Keys:
    """The token, and the cookie that stands for it: of this process only, and of no use as a token."""

    def __init__(self, token: str | None) -> None:
        self._token = token.encode() if token is not None else None
        self.cookie = hmac.new(secrets.token_bytes(32), self._token or b"", hashlib.sha256).hexdigest()

    @property
    def needed(self) -> bool:
        return self._token is not None

    def fits(self, token: str) -> bool:
        return self._token is not None and hmac.compare_digest(token.encode(), self._token)

    def admits(self, headers: Headers) -> bool:
        if self._token is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.fits(given.strip()):
            return True
        cookies = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            return False
        return COOKIE in cookies and hmac.compare_digest(cookies[COOKIE].value.encode(), self.cookie.encode())


class Guard:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, settings: DashboardSettings, keys: Keys) -> None:
        self._app = app
        self._hosts = settings.allowed_hosts
        self._write = settings.dashboard_write
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                # a page of another version is not to be put together with what a browser has kept
                kept = scope["path"].startswith("/static/")
                headers.setdefault("cache-control", "no-cache" if kept else "no-store")
            await send(message)

        if scope["type"] != "http":
            return  # no websockets here: uvicorn answers 403
        refusal = self._refusal(scope["method"], scope["path"], Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, protected)
            return
        status, problem = refusal
        more = {"www-authenticate": "Bearer"} if status == 401 else {}  # noqa: PLR2004 - as HTTP has it
        await JSONResponse({"problem": problem}, status, more)(scope, receive, protected)

    def _refusal(self, method: str, path: str, headers: Headers) -> tuple[int, str] | None:
        if _name(headers.get("host", "")) not in self._hosts:
            return 403, "this dashboard does not serve that host name: DASHBOARD_HOSTS lists those it serves"
        writes = method not in ("GET", "HEAD")
        if path.startswith("/api/") or writes:
            if not _same_site(headers):
                return 403, "requests from pages of another site are refused"
            if path not in _OPEN and not self._keys.admits(headers):
                return _NO_TOKEN
        elif path == "/metrics" and not self._keys.admits(headers):
            return _NO_TOKEN
        return self._write_refusal(path, headers) if writes else None

    def _write_refusal(self, path: str, headers: Headers) -> tuple[int, str] | None:
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return 415, "send it as Content-Type: application/json"
        if "x-townpost" not in headers:
            return 403, "send the header X-Townpost: 1 along"
        if path not in _OPEN and not self._write:
            return 403, "this dashboard is read-only: DASHBOARD_WRITE=1 lets it change things"
        return None


def _same_site(headers: Headers) -> bool:
    """As far as a browser says; other programs say nothing, and cannot be made to ask by a page."""
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    host = headers.get("host", "").lower()
    return headers.get("origin", f"http://{host}").lower() in (f"http://{host}", f"https://{host}")


def _name(host: str) -> str:
    """The host without its port; empty for what cannot be one."""
    try:
        return (urlsplit(f"//{host}").hostname or "") if host and "@" not in host and "/" not in host else ""
    except ValueError:
        return ""
