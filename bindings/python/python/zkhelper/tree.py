"""Operations on whole trees of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ._options import patterns as checked
from ._types import Acl, Matches, create_flags
from ._zkhelper import Tree as Native
from .errors import ZkhelperError


class Tree:
    """Operations on whole trees of nodes, made by :meth:`zkhelper.Client.tree`. Many requests are under way at once.

    They take as long as the tree is large. Interrupted by Ctrl-C, what was not sent by then has no effect.

    >>> tree = client.tree()
    >>> tree.create("/zk/shards/0/leader", b"up")
    '/zk/shards/0/leader'
    >>> tree.glob(["/zk/*/[0-9]"]).paths
    ['/zk/shards/0']
    >>> tree.delete("/zk")
    """

    def __init__(self, native: Native) -> None:
        self._native = native

    def exists(self, path: str) -> bool:
        """Whether there is a node."""
        return self._native.exists(path).wait()

    def create(
        self,
        path: str,
        data: bytes = b"",
        *,
        acl: Sequence[Acl] | None = None,
        ephemeral: bool = False,
        sequential: bool = False,
        container: bool = False,
    ) -> str:
        """Creates a node, and those of its parents that are missing; returns its path.

        The parents are plain and empty, and get ``acl`` too (by default everything to anyone), except that who has
        ADMIN in it gets all permissions on them. Raises :exc:`~zkhelper.NodeExistsError`,
        :exc:`~zkhelper.InvalidAclError`, :exc:`~zkhelper.NoNodeError` if parents vanish as fast as they are made, and
        :exc:`~zkhelper.OutcomeUnknownError` where a lost answer cannot be settled by creating again.
        """
        return self._native.create(path, data, acl, create_flags(ephemeral, sequential, container, None)).wait()

    def create_all(
        self,
        nodes: Iterable[tuple[str, bytes]],
        *,
        acl: Sequence[Acl] | None = None,
        ephemeral: bool = False,
        sequential: bool = False,
        container: bool = False,
    ) -> list[str | ZkhelperError]:
        """Creates many nodes, given as path and data, and those of their parents that are missing; returns for each its
        path, or an exception. A node whose parent is in the list too has to stand behind it."""
        flags = create_flags(ephemeral, sequential, container, None)
        return self._native.create_all(list(nodes), acl, flags).wait()

    def create_or_update(
        self,
        path: str,
        data: bytes,
        *,
        acl: Sequence[Acl] | None = None,
        ephemeral: bool = False,
        sequential: bool = False,
        container: bool = False,
        recursive: bool = True,
    ) -> str:
        """Creates a node, or sets its data if it is there; returns its path. Parents are made if ``recursive`` says so.
        A node may be set twice with the same data, where an answer was lost."""
        flags = create_flags(ephemeral, sequential, container, None)
        return self._native.create_or_update(path, data, acl, flags, recursive).wait()

    def children(self, path: str) -> list[str]:
        """The paths of all nodes below a path, relative to it and sorted. Nodes that vanish meanwhile are left out.

        Raises :exc:`~zkhelper.NoNodeError`, and :exc:`~zkhelper.NoAuthError` if one of them may not be listed.
        """
        return self._native.children(path).wait()

    def delete(self, path: str, version: int = -1) -> None:
        """Deletes a node and everything below it. The version of its own data, unless it is -1, guards the whole.

        Raises :exc:`~zkhelper.NoNodeError`, :exc:`~zkhelper.BadVersionError`, :exc:`~zkhelper.NoAuthError`, and
        :exc:`~zkhelper.NotEmptyError` if others create nodes below it all the time. After a failure what was deleted is
        gone, and what was not is as it was.
        """
        self._native.delete(path, version).wait()

    def glob(self, patterns: Iterable[str]) -> Matches:
        """The existing paths that these patterns stand for: ``*`` is any part of a name, ``?`` one character, ``[a-z]``
        one of a class, ``[^a]`` one outside it, and ``\\`` takes the next character as it is.

        A path without a wildcard is returned without being looked for. Raises :exc:`~zkhelper.BadArgumentError` and
        :exc:`~zkhelper.BadPathError` for what can be no pattern, before anything is sent.
        """
        return self._native.glob(checked(patterns)).wait()
