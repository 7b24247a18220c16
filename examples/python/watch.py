"""Keeps a copy of a node's data up to date, and says what changes below it: watch.py [HOST:PORT [PATH]]

Without arguments it changes a node of its own three times, on a server inside this process.
"""

import sys
import threading

import zkhelper
from zkhelper import WatchEvent, WatchEventKind

path = sys.argv[2] if len(sys.argv) > 2 else "/watched"
deleted = threading.Event()

with zkhelper.Client(sys.argv[1] if len(sys.argv) > 1 else "embedded") as client:

    def on_event(event: WatchEvent) -> None:
        """Runs on a thread of the client's, and may make calls that wait."""
        print(event.path, event.kind.value)
        if event.path == path or event.kind is WatchEventKind.MAY_HAVE_MISSED:
            try:
                print(f'the data are "{client.get(path).data.decode()}"')
            except zkhelper.NoNodeError:
                print("there is no node")
        if event == WatchEvent(WatchEventKind.DELETED, path):
            deleted.set()

    client.watch(path, recursive=True, callback=on_event)
    if len(sys.argv) > 2:
        input(f"watching {path} until a line is read\n")
    else:
        client.create(path, b"one")
        client.set(path, b"two")
        client.delete(path)
        deleted.wait()
