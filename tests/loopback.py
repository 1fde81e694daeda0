"""HTTP on the loopback needs no certificates, and httpx would read all of them for each client: 50 ms of work."""

import ssl

__all__ = ["NO_TLS"]

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
