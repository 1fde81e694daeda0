"""Sets aside our keys to which others have written another type, so that the queue continues."""

import logging
from collections.abc import Mapping

from townpost.errors import RefusedError
from townpost.redis.connection import Connection

__all__ = ["set_aside"]


def set_aside(connection: Connection, types: Mapping[str, str], log: logging.Logger) -> bool:
    """Rename each key of a wrong type to its name and ``:foreign``. Returns whether there was one.

    Its content is not ours, and no client can use it under that name.
    """
    found = False
    for key, wanted in types.items():
        kind = connection.call("TYPE", key)
        if kind in (b"none", wanted.encode()):
            continue
        found = True
        try:
            connection.call("RENAME", key, f"{key}:foreign")
        except RefusedError as error:
            log.error("the key %s is no %s, and cannot be renamed: %s", key, wanted, error)  # noqa: TRY400 - a setting
            return False
        log.error("the key %s is no %s: renamed to %s:foreign, see who writes it", key, wanted, key)
    return found
