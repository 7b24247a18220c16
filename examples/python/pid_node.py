"""Says by a node that the program runs, and hears what becomes of the node: pid_node.py [HOST:PORT]"""

import sys

import zkhelper


def on_event(event: zkhelper.PidEvent) -> None:
    """Runs on a thread of the client's."""
    match event:
        case zkhelper.PidMade():
            print("the node is there", file=sys.stderr)
        case zkhelper.PidLost(reason):
            print("the node is gone:", reason.name, file=sys.stderr)
        case zkhelper.PidRefused(reason):
            print("the node cannot be made for now:", reason, file=sys.stderr)


# "embedded" is a server inside this process, to try things with.
with zkhelper.Client(sys.argv[1] if len(sys.argv) > 1 else "embedded") as client:
    top = client.create("/app-", sequential=True)
    with client.pid_node(f"{top}/pid", on_event=on_event):
        print("process", int(client.get(f"{top}/pid").data))
    print("removed:", client.exists(f"{top}/pid") is None)
    client.delete(top)
