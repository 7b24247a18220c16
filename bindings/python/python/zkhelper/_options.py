"""What a caller gives, as the native half takes it. What is ``None`` stays at the library's default."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from ._types import Acl, Credentials, Persistent, Strict, Tls
from .errors import BadArgumentError


def client_options(
    session_timeout: float | None,
    connect_timeout: float | None,
    operation_timeout: float | None,
    while_suspended: str | None,
    max_backoff: float | None,
    max_frame: int | None,
    auth: Iterable[tuple[str, bytes]],
    reattach: Credentials | None,
    renew_interval: float | None,
    clock_drift: float | None,
    tls: Tls | None,
) -> dict[str, object]:
    return {
        "tls": None if tls is None else tls._wire(),
        "session_timeout": session_timeout,
        "connect_timeout": connect_timeout,
        "operation_timeout": operation_timeout,
        "while_suspended": while_suspended,
        "max_backoff": max_backoff,
        "max_frame": max_frame,
        "auth": list(auth),
        "reattach": reattach,
        "renew_interval": renew_interval,
        "clock_drift": clock_drift,
    }


def mutex_options(
    acl: Sequence[Acl] | None,
    contents: Mapping[str, object] | None,
    extra_lock_patterns: Iterable[str],
    strict: Strict | None,
    persistent: Persistent | None,
    clock_drift: float | None,
) -> dict[str, object]:
    return {
        "acl": acl,
        "contents": None if contents is None else _json(contents),
        "extra_lock_patterns": _texts(extra_lock_patterns),
        "strict": strict,
        "persistent": persistent,
        "clock_drift": clock_drift,
    }


def elector_options(
    description: str | None,
    acl: Sequence[Acl] | None,
    contents: Mapping[str, object] | None,
    extra_lock_patterns: Iterable[str],
    lease: float | None,
    grace: float | None,
    abort_when_overdue: bool,
    min_backoff: float | None,
    max_backoff: float | None,
    clock_drift: float | None,
) -> dict[str, object]:
    return {
        "description": description,
        "acl": acl,
        "contents": None if contents is None else _json(contents),
        "extra_lock_patterns": _texts(extra_lock_patterns),
        "lease": lease,
        "grace": grace,
        "abort_when_overdue": abort_when_overdue,
        "min_backoff": min_backoff,
        "max_backoff": max_backoff,
        "clock_drift": clock_drift,
    }


def queue_lock_options(
    prefix: str | None, acl: Sequence[Acl] | None, contents: Mapping[str, object] | None
) -> dict[str, object]:
    return {"prefix": prefix, "acl": acl, "contents": None if contents is None else _json(contents)}


def pid_node_options(acl: Sequence[Acl] | None, take_over: str | None, wait: float | None) -> dict[str, object]:
    return {"acl": acl, "take_over": take_over, "wait": wait}


def patterns(given: Iterable[str]) -> list[str]:
    if isinstance(given, str):
        raise BadArgumentError("patterns is a text: it must be a list of texts")
    return list(given)


def _texts(given: Iterable[str]) -> list[str]:
    if isinstance(given, str):
        raise BadArgumentError("extra_lock_patterns is a text: it must be a list of texts")
    return list(given)


def _json(contents: Mapping[str, object]) -> str:
    # A list of pairs would make an object too, and an empty one an empty object.
    if not isinstance(contents, Mapping):
        raise BadArgumentError(f"contents: not an object but {type(contents).__name__}")
    try:
        return json.dumps(dict(contents))
    except (TypeError, ValueError) as error:
        raise BadArgumentError(f"contents: not JSON: {error}") from error
