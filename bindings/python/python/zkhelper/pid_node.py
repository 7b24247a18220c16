"""Pid nodes: a node that says that its owner lives."""

from __future__ import annotations

from types import TracebackType

from ._types import PidEvent
from ._zkhelper import PidNode as Native
from .events import Events


class PidNode:
    """A node that exists while its owner lives and is connected, made by :meth:`zkhelper.Client.pid_node`.

    After a session change it is made again, with the same permissions. Leaving ``with`` on it removes it, and so does
    dropping it.
    """

    def __init__(self, native: Native, path: str) -> None:
        self._native = native
        self._path = path

    @property
    def path(self) -> str:
        """Its path."""
        return self._path

    def is_there(self) -> bool:
        """Whether it is there, as far as is known."""
        return self._native.is_there()

    def events(self) -> Events[PidEvent]:
        """What becomes of it, and first of all how it stands now: :class:`~zkhelper.PidMade`,
        :class:`~zkhelper.PidLost`, :class:`~zkhelper.PidRefused`."""
        return Events(self._native.events())

    def close(self) -> None:
        """Removes the node: it is gone when this returns. A second close does nothing.

        Raises :exc:`~zkhelper.OutcomeUnknownError` if the server did not confirm within the session timeout: the
        removal then goes on by itself.
        """
        self._native.close().wait()

    def __enter__(self) -> PidNode:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<PidNode {self._path!r}>"
