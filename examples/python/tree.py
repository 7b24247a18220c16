"""Makes a small tree, finds nodes in it by a pattern, lists and deletes it: tree.py [HOST:PORT]"""

import sys

import zkhelper

# "embedded" is a server inside this process, to try things with.
with zkhelper.Client(sys.argv[1] if len(sys.argv) > 1 else "embedded") as client:
    tree = client.tree()
    top = client.create("/tree-", sequential=True)
    # Parents that are missing are made too.
    tree.create_all([(f"{top}/shards/{number}/leader", b"up") for number in range(3)])
    print("found:", *(path.removeprefix(top) for path in tree.glob([f"{top}/shards/[01]/*"]).paths))
    print("below it:", *tree.children(top))
    tree.delete(top)
    print("deleted:", not tree.exists(top))
