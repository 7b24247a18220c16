"""Makes nodes, reads and changes them, also several as one transaction: nodes.py [HOST:PORT]"""

import sys

import zkhelper


def add_exclamation_mark(client: zkhelper.Client, path: str) -> None:
    """Changes the data, and only if nobody changed them in between: the version goes along."""
    while True:
        data, stat = client.get(path)
        try:
            client.set(path, data + b"!", stat.version)
            return
        except zkhelper.BadVersionError:
            pass  # Somebody was quicker.


# "embedded" is a server inside this process, to try things with.
with zkhelper.Client(sys.argv[1] if len(sys.argv) > 1 else "embedded") as client:
    top = client.create("/nodes-", sequential=True)
    a, b = f"{top}/a", f"{top}/b"
    # Both or none.
    client.multi([zkhelper.Create(a, b"hello"), zkhelper.Create(b, b"bye", ephemeral=True)])
    add_exclamation_mark(client, a)
    for name in client.children(top):
        data, stat = client.get(f"{top}/{name}")
        lasts = "this session ends" if stat.ephemeral_owner else "it is deleted"
        print(f'{top}/{name}: "{data.decode()}", version {stat.version}, until {lasts}')
    client.multi([zkhelper.Delete(a), zkhelper.Delete(b), zkhelper.Delete(top)])
