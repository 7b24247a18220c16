"""The same with asyncio, and three tasks that want the lock: lock_async.py [HOST:PORT]"""

import asyncio
import sys

import zkhelper.aio


async def work(client: zkhelper.aio.Client, name: str) -> None:
    async with client.mutex("/zk/demo/lock", timeout=5, description=name) as held:
        print(name, "holds the lock with token", held.token)


async def main(address: str) -> None:
    # "embedded" is a server inside this process, to try things with.
    async with zkhelper.aio.Client(address) as client, asyncio.TaskGroup() as tasks:
        for name in ("ann", "bob", "cid"):
            tasks.create_task(work(client, name))


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "embedded"))
