"""Leader elections."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, TypeAlias

from ._callbacks import Callbacks
from ._types import Contender, Leader, LeaderChange, Stop, stop
from ._zkhelper import Elector as Native
from ._zkhelper import Op
from ._zkhelper import Term as NativeTerm
from .errors import ClosedError, Interrupted, ZkhelperError
from .events import Events
from .mutex import leaving

logger = logging.getLogger("zkhelper")


class Stopped:
    """Whether a leader's term has to end: an event, like :class:`threading.Event`, that also says why.

    It is set when the lease runs out at the latest, also while the server is frozen or cut off. The grace begins then.
    """

    def __init__(self, term: NativeTerm, urgent: Callbacks) -> None:
        self._term = term
        self._urgent = urgent

    def is_set(self) -> bool:
        """Whether the term has to end."""
        return self._term.stop() is not None

    def __bool__(self) -> bool:
        return self.is_set()

    @property
    def reason(self) -> Stop | None:
        """Why it has to end; ``None`` if it need not."""
        found = self._term.stop()
        return None if found is None else stop(found)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the term has to end, at most ``timeout`` seconds; ``None`` waits until it has to end or is ended.

        Returns whether it has to end.
        """
        return self._term.stopped(timeout).wait() is not None

    def add_callback(self, callback: Callable[[Stop], object]) -> None:
        """Calls ``callback`` with a :class:`~zkhelper.Stop` when the term has to end; at once if it has.

        It runs on a thread that runs nothing but these, and may make blocking calls. What it raises is logged.
        """

        def ended(op: Op[tuple[str, int | None] | None]) -> None:
            found = op.result()
            if found is not None:
                callback(stop(found))

        self._urgent.add(self._term.stopped(), ended)


class Term:
    """A leader's term: what :meth:`Elector.campaign` returns. Leaving ``with`` on it ends it."""

    def __init__(self, native: NativeTerm, urgent: Callbacks, raise_on_loss: bool) -> None:
        self._native = native
        self._raise_on_loss = raise_on_loss
        #: Tells when the term has to end.
        self.stopped = Stopped(native, urgent)

    @property
    def token(self) -> int:
        """The fencing token: greater than that of every earlier leader."""
        return self._native.token

    def valid_for(self) -> float:
        """How many seconds from now it is certain that nobody else leads, if nothing renews it further; 0 if it is
        not."""
        return self._native.valid_for()

    def is_leading(self) -> bool:
        """Whether it is certain that nobody else leads, at this moment."""
        return self._native.is_leading()

    def resign(self) -> bool:
        """Tells the term to end. False if it was told before. Does not block."""
        return self._native.resign()

    def end(self) -> None:
        """Ends the term; call it once its work is over for certain. The next leader then starts without delay.

        Raises :exc:`~zkhelper.LockLost` if the lead was lost before, :exc:`~zkhelper.NotHeldError` if the term was
        ended before.
        """
        self._native.end().wait()

    def __enter__(self) -> Term:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.end()
        except ZkhelperError as failure:
            leaving(failure, error, self._raise_on_loss)

    def __repr__(self) -> str:
        return f"<Term token={self.token} {'leading' if self.is_leading() else 'not leading'}>"


class Task(Protocol):
    """What a leader does, as an object. Besides ``run`` it may have ``stop(why)``, which is called on another thread
    with a :class:`~zkhelper.Stop` when ``run`` has to return, and ``interrupted()``, which is asked after ``run`` and
    ends the election for this elector by returning true."""

    def run(self, term: Any) -> object:
        """The work of one term, a :class:`Term`."""


#: A function of the term, or an object.
AnyTask: TypeAlias = Callable[[Term], object] | Task


class Elector:
    """A part in an election, made by :meth:`zkhelper.Client.elector`. Nothing is sent before it campaigns.

    >>> elector = client.elector("/election")
    >>> with elector.campaign() as term:
    ...     while not term.stopped:
    ...         print("leads:", term.is_leading())
    ...         break
    leads: True
    """

    def __init__(self, native: Native, path: str, urgent: Callbacks, raise_on_loss: bool) -> None:
        self._native = native
        self._path = path
        self._urgent = urgent
        self._raise_on_loss = raise_on_loss

    @property
    def path(self) -> str:
        """The path of the election."""
        return self._path

    def campaign(self) -> Term:
        """Waits until this elector leads. End the term soon after ``term.stopped`` is set, within the grace.

        Connection trouble is waited out. Raises :exc:`~zkhelper.Interrupted`, :exc:`~zkhelper.ClosedError`,
        :exc:`~zkhelper.BadArgumentError` where the other candidates use another lease and grace, and what the server
        says, such as :exc:`~zkhelper.NoAuthError`. Whatever it raises, also ``KeyboardInterrupt``, the candidacy is
        withdrawn.
        """
        return Term(self._native.campaign().wait(), self._urgent, self._raise_on_loss)

    def run(self, task: AnyTask) -> None:
        """Runs a task in each term, in this thread, and is a candidate again after it ended.

        ``task`` is a function of the :class:`Term`, or an object with ``run(term)`` (see :class:`Task`). It has to
        return within the grace once ``term.stopped`` is set. An exception in it is logged, and the next campaign waits
        a while, longer each time; :exc:`~zkhelper.Interrupted` ends the election for this elector. Returns after that,
        or after :meth:`interrupt` or :meth:`close`, when the task has ended. Raises what :meth:`campaign` raises but
        for what passes by itself.
        """
        course = self._native.course()
        while True:
            try:
                native = course.next().wait()
            except (Interrupted, ClosedError):
                return
            try:
                outcome = self._perform(task, Term(native, self._urgent, False))
            except BaseException:
                # Such as KeyboardInterrupt: the term is over, and so is the election here.
                with contextlib.suppress(ZkhelperError):
                    native.end().wait()
                raise
            try:
                course.ended(native, outcome).wait()
            except (Interrupted, ClosedError):
                return

    def _perform(self, task: AnyTask, term: Term) -> str:
        run, told, interrupted = parts(task)
        if told is not None:
            term.stopped.add_callback(told)
        try:
            run(term)
        except Interrupted:
            return "interrupted"
        except Exception:
            logger.exception("the leader's task of election %r failed", self._path)
            return "failed"
        return "interrupted" if interrupted is not None and interrupted() else "done"

    def interrupt(self) -> None:
        """Ends a campaign with :exc:`~zkhelper.Interrupted`, or tells the term to end and ends the election for this
        elector. If there is neither it is remembered, and ends the next campaign. Does not block."""
        self._native.interrupt()

    def resign(self) -> bool:
        """Tells the term to end, so that somebody else's turn comes. False if there is none. Does not block."""
        return self._native.resign()

    def close(self) -> None:
        """Ends this elector: a campaign ends with :exc:`~zkhelper.ClosedError`, a term is told to end. Does not
        block."""
        self._native.close()

    def is_leading(self) -> bool:
        """Whether it is certain that this elector leads, at this moment."""
        return self._native.is_leading()

    def leader(self) -> Leader | None:
        """Who leads, as its record says and its candidate's node confirms; ``None`` if nobody ever did."""
        return self._native.leader().wait()

    def leaders(self) -> Events[LeaderChange]:
        """Who leads now, and every change from now on; changes in quick succession are told as one. An error that does
        not pass is raised, and ends it."""
        return Events(self._native.leaders())

    def candidates(self) -> list[Contender]:
        """Everybody who leads or stands for it, in the order of service."""
        return self._native.candidates().wait()

    def __repr__(self) -> str:
        return f"<Elector {self._path!r}>"


def parts(task: Any) -> tuple[Callable[[Any], Any], Callable[[Stop], Any] | None, Callable[[], Any] | None]:
    """A task's ``run``, ``stop`` and ``interrupted``."""
    run = getattr(task, "run", None)
    if run is None:
        return task, None, None
    return run, getattr(task, "stop", None), getattr(task, "interrupted", None)
