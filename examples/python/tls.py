"""Takes a lock over TLS: tls.py HOST:PORT CA.PEM [CERTIFICATE.PEM KEY.PEM]"""

import sys

import zkhelper

if len(sys.argv) < 3:
    sys.exit(__doc__)
tls = zkhelper.Tls(*sys.argv[2:5])
with zkhelper.Client(sys.argv[1], tls=tls) as client, client.mutex("/zk/demo/tls", timeout=5) as held:
    print("held; the fencing token is", held.token)
