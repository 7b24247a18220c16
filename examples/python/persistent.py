"""A lock that outlasts its owner, for work that must not be begun anew while half of it is done:

persistent.py HOST:PORT PATH hold         takes the lock and keeps it until somebody asks for it
persistent.py HOST:PORT PATH list         who has it and who waits
persistent.py HOST:PORT PATH ask REASON   asks the holder to give it up
persistent.py HOST:PORT PATH release      releases it where the holder is gone
"""

import sys

import zkhelper


def main(address: str, path: str, what: str, reason: str) -> None:
    with zkhelper.Client(address) as client:
        mutex = client.mutex(path, persistent=zkhelper.Persistent(lease=2), description="half of the work")
        if what == "hold":
            with mutex.revocations() as requests, mutex as held:
                print("holds it with token", held.token, flush=True)
                # A real one works here, and looks at held.lost too.
                request = requests.next()
                print("asked:", request.reason if request else "the client is closed")
            return
        for contender in mutex.contenders():
            print(contender.name, contender.owner.value, contender.hostname, contender.pid, contender.description)
            if what == "ask":
                mutex.request_revocation(contender.name, reason)
                return
            if what == "release" and contender.owner is zkhelper.Owner.GONE:
                # Waits as long as its owner may still believe.
                mutex.release_dead(contender.name)
                print("released")
                return


if len(sys.argv) < 4:
    sys.exit(__doc__)
main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else "")
