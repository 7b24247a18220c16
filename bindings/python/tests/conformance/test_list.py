"""The numbered list of conformance scenarios, held against the tests here."""

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIST = HERE.parents[3] / "tests" / "conformance" / "scenarios.txt"
#: Lent connections are for C and Rust: Python has no handle of another library to lend.
NOT_FOR_PYTHON = range(105, 110)


def test_each_scenario_is_here_once_and_by_its_name() -> None:
    wanted = []
    for line in LIST.read_text().splitlines():
        number, place, name = line.split()
        if int(number) not in NOT_FOR_PYTHON:
            # What is run on both servers takes the address of one, or a client on it.
            wanted.append((f"s{int(number):02}_{name}", place))
    found = []
    for file in sorted(HERE.glob("test_*.py")):
        place = "own" if file.name == "test_faults.py" else "both"
        found += [(name, place) for name in re.findall(r"^def test_(s\d+_\w+)\(", file.read_text(), re.MULTILINE)]
    assert sorted(found) == sorted(wanted)
    assert len(wanted) >= 104
