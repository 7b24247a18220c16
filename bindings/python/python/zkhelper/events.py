"""Events that come one after the other."""

from __future__ import annotations

from types import TracebackType
from typing import Generic, TypeVar

from ._zkhelper import Stream

T = TypeVar("T")


class Events(Generic[T]):
    """Events to iterate over, until :meth:`close` or the client's end. They wait in memory until they are taken.

    >>> with client.watch("/a") as events:
    ...     path = client.create("/a")
    ...     next(events)
    WatchEvent(kind=<WatchEventKind.CREATED: 'created'>, path='/a')
    """

    def __init__(self, stream: Stream[T]) -> None:
        self._stream = stream

    def next(self, timeout: float | None = None) -> T | None:
        """The next event, or ``None`` at the end. ``timeout`` is in seconds; ``None`` waits for ever.

        Raises :exc:`~zkhelper.OperationTimeout` if none came in time; it is not lost by that.
        """
        return self._stream.next(timeout).wait()

    def close(self) -> None:
        """Ends it: a watch is removed, and whoever waits for an event hears of the end. Does not block."""
        self._stream.close()

    def __iter__(self) -> Events[T]:
        return self

    def __next__(self) -> T:
        event = self.next()
        if event is None:
            raise StopIteration
        return event

    def __enter__(self) -> Events[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
