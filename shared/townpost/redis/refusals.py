"""Says in our errors what Redis, or the system, said in theirs."""

import redis

from townpost.errors import (
    FullError,
    PasswordError,
    PermissionDeniedError,
    RefusedError,
    UnavailableError,
    WrongTypeError,
)

__all__ = ["password_error", "reason", "refusal"]

_NOT_READY = (
    *("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"),
    *("UNBLOCKED", "MISCONF", "BUSY", "NOSCRIPT", "NOGROUP", "NOREPLICAS"),
)


def refusal(text: str) -> UnavailableError | RefusedError:
    """The error of ours for an error reply of Redis."""
    code, _, rest = text.partition(" ")
    # no such key, in a script: a stream has vanished with its group, and a new connection creates both
    if code in _NOT_READY or "max number of clients" in text or text.startswith("ERR no such key script"):
        return UnavailableError(f"Redis is not ready: {text}")
    if code in ("NOAUTH", "WRONGPASS") or "invalid password" in text or "Client sent AUTH" in text:
        return password_error(text)
    error: RefusedError
    if code == "NOPERM" or "user executing the script can't" in text or "ACL failure in script" in text:
        error = PermissionDeniedError(
            f"the ACL of this Redis user forbids it ({text}): grant the user of REDIS_URL the command, key or channel"
        )
    elif code == "WRONGTYPE":
        error = WrongTypeError("the key holds another type of value")
    elif code == "TOWNPOST_FULL":
        error = _full(rest)
    elif code == "OOM":
        error = FullError(f"Redis is full ({text}): raise maxmemory or let the subscribers drain the queues")
    else:
        error = RefusedError(f"Redis refuses the command: {text}")
    return error


def _full(numbers: str) -> FullError:
    waiting, room = (int(word) for word in numbers.split())
    error = FullError(
        f"the queue is full, {waiting:,} message{'s are' if waiting != 1 else ' is'} waiting (RELIABLE_LIMIT)"
    )
    error.room = room
    return error


def password_error(text: str) -> PasswordError:
    return PasswordError(
        f"Redis refuses the user name or password of REDIS_URL ({text}): write them as redis://user:password@host:port"
    )


def reason(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:  # redis-py wraps what the system said in words of its own
        if isinstance(cause, TimeoutError | redis.TimeoutError):
            return "no answer in time"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return str(error).rstrip(".")
