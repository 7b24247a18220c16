"""What only zkhelper is asked: the cost of strict mode and renewals as ratios, and many locks and elections at once."""

import argparse
import json
import random
import statistics
import time
from typing import Any

import page
import run

# What each row is to be compared with.
WITHOUT = {"strict": "alone", "renewing": "alone", "strict-handoff": "default-handoff"}


def costs(server: run.Server, command: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Each row beside the one without what it has more: they take turns on one worker."""
    rows = {"alone": 300, "strict": 300, "renewing": 300, "default-handoff": 60, "strict-handoff": 60}
    worker = run.Worker(command, server.address)
    seen: dict[str, list[dict[str, Any]]] = {row: [] for row in rows}
    for turn in range(-1, rounds):
        for row in random.sample(list(rows), len(rows)):
            cost = worker.measure(server, row, f"/zk/scale/{row}", rows[row])
            if turn >= 0:
                seen[row].append(cost)
    worker.end()
    keys = ["us", "requests", "cpu_us"]
    medians = {row: {key: statistics.median(cost[key] for cost in all) for key in keys} for row, all in seen.items()}
    for row, without in WITHOUT.items():
        medians[row]["ratio"] = page.ratio(seen[row], seen[without])
    return medians


def waiting(server: run.Server, command: list[str], counts: list[int]) -> list[dict[str, Any]]:
    """Queues of several lengths, each in a process of its own."""
    points = []
    for count in counts:
        worker = run.Worker(command, server.address)
        worker.say(f"waiting /zk/scale/waiting-{count} {count}")
        points.append(worker.hear())
        worker.end()
        print(json.dumps(points[-1]), flush=True)
    return points


def held(server: run.Server, command: list[str], count: int) -> dict[str, Any]:
    worker = run.Worker(command, server.address)
    worker.say(f"held /zk/scale/held {count}")
    worker.hear()
    begin, packets, cpu = time.monotonic(), server.received(), worker.cpu()
    worker.hear()
    seconds = time.monotonic() - begin
    packets, cpu = server.received() - packets - 1, worker.cpu() - cpu
    answer = worker.hear()
    worker.end()
    answer |= {"requests_a_second": packets / seconds, "cpu_percent": 100 * cpu / seconds}
    print(json.dumps(answer), flush=True)
    return answer


def elections(server: run.Server, command: list[str], count: int) -> dict[str, Any]:
    worker = run.Worker(command, server.address)
    worker.say(f"elections /zk/scale/elections {count}")
    worker.hear()
    server.stop()
    time.sleep(0.2)
    server.start()
    answer = worker.hear()
    worker.end()
    print(json.dumps(answer), flush=True)
    return answer


def text(results: dict[str, Any]) -> str:
    cost, queue, many, elected = (results[key] for key in ["costs", "waiting", "held", "elections"])
    lines = ["| with | µs | × without | requests |", "| --- | ---: | ---: | ---: |"]
    for name, row in [
        ("strict mode, lock and unlock", "strict"),
        ("renewals every 5 ms, lock and unlock", "renewing"),
        ("strict mode, hand-off", "strict-handoff"),
    ]:
        more = f"{cost[row]['requests']:.1f} ({cost[WITHOUT[row]]['requests']:.1f} without)"
        lines.append(f"| {name} | {cost[row]['us']:,.0f} | {cost[row]['ratio']:.2f} | {more} |")
    lines += ["", "| waiting on one path | bytes each | threads more | hand-off µs |", "| ---: | ---: | ---: | ---: |"]
    for point in queue:
        lines.append(
            f"| {point['count']:,} | {point['bytes_each']:,} | {point['threads_more']} | {point['handoff_us']:,.0f} |"
        )
    lines += [
        "",
        "![hand-off by the length of the queue](speed/queue.svg)",
        "",
        f"{many['count']:,} locks held by one client (session timeout 10 s): {many['bytes_each']:,} bytes each, "
        f"{many['threads_more']} threads more; taken in {many['taken_seconds']:.1f} s, released in "
        f"{many['released_seconds']:.1f} s. Renewing them costs {many['requests_a_second']:.1f} requests a second and "
        f"{many['cpu_percent']:.0f} % of a processor; {many['lost']} lost.",
        "",
        f"{elected['count']:,} elections led by one client: {elected['bytes_each']:,} bytes each, "
        f"{elected['threads_more']} threads more, all elected in {elected['elected_seconds']:.1f} s. The server is "
        f"killed and started again: {elected['down_seconds']:.2f} s without a connection, all renewed "
        f"{elected['recovered_seconds']:.2f} s after that; {elected['leading']:,} still lead.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--most", type=int, default=10_000, help="the longest queue, and as many locks held")
    arguments.add_argument("--built", action="store_true", help="the worker is there: do not build it again")
    arguments.add_argument("--write", action="store_true", help="write docs/speed.md and its plot")
    given = arguments.parse_args()
    command = run.build(["zkhelper (Rust)"])["zkhelper (Rust)"]
    server = run.Server()
    try:
        results: dict[str, Any] = {"costs": costs(server, command, given.rounds)}
        print(json.dumps(results["costs"], indent=1), flush=True)
        lengths = [n for n in [10, 100, 1000, 3000, 10_000] if n <= given.most]
        results |= {"waiting": waiting(server, command, lengths)}
        results |= {"held": held(server, command, given.most)}
        results |= {"elections": elections(server, command, given.most // 10)}
    finally:
        server.end()
    print(text(results))
    if given.write:
        page.write_scale(run.ROOT / "docs", text(results), results["waiting"])


if __name__ == "__main__":
    main()
