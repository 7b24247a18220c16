"""Makes python/zkhelper/errors.py from the library's one table of codes: make_errors.py [--check]."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

PLACE = Path(__file__).parent.parent / "python" / "zkhelper" / "errors.py"

# Names that do not follow from the code's: for what is no error of the program's, and where Python has the name.
NAMES = {
    "TIMEOUT": "LockTimeout",
    "LOCK_LOST": "LockLost",
    "INTERRUPTED": "Interrupted",
    "CANCELLED": "Cancelled",
    "OPERATION_TIMEOUT": "OperationTimeout",
    "REQUEST_TIMEOUT": "RequestTimeout",
    "SYSTEM_ERROR": "ServerSystemError",
    "BAD_UTF8": "BadUtf8Error",
}

# What Python programs catch besides.
BASES = {
    "TIMEOUT": "TimeoutError",
    "OPERATION_TIMEOUT": "TimeoutError",
    "REQUEST_TIMEOUT": "TimeoutError",
    "CONNECTION_LOSS": "ConnectionError",
    "BAD_ARGUMENT": "ValueError",
    "BAD_PATH": "ValueError",
    "BAD_ADDRESS": "ValueError",
    "BAD_UTF8": "ValueError",
}

HEAD = '''"""The exceptions of zkhelper: one class for each code of the library.

Made by ``tools/make_errors.py`` from the library's table of codes; do not edit.
"""


class ZkhelperError(Exception):
    """Whatever goes wrong. A code of a newer server, which has no class here, is this class itself.

    ``code`` is the number, which never changes its meaning: ZooKeeper's own codes keep theirs, the library's
    begin at -1001. ``name`` is its name, ``path`` the path it is about or ``None``, ``operation`` what was being
    done, and ``retriable`` says whether the same call may succeed if it is made again later.
    """

    code: int = 0
    name: str = "UNKNOWN"
    retriable: bool = False
    path: str | None
    operation: str

    def __init__(self, message: str = "", path: str | None = None, operation: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.operation = operation

    def __reduce__(self) -> tuple[object, ...]:
        return from_code, (self.code, str(self), self.path, self.operation, self.retriable)

'''

TAIL = '''

_CLASSES: dict[int, type[ZkhelperError]] = {{
{rows}}}


def from_code(
    code: int, message: str, path: str | None = None, operation: str = "", retriable: bool = False
) -> ZkhelperError:
    """The exception for a code, an instance of its class."""
    known = _CLASSES.get(code)
    if known is not None:
        return known(message, path, operation)
    error = ZkhelperError(message, path, operation)
    error.code = code
    error.retriable = retriable
    return error


__all__ = [
{names}]
'''


def table() -> list[tuple[int, str, str, bool]]:
    """The codes, from the native half alone: the package cannot be imported without errors.py."""
    package = importlib.util.find_spec("zkhelper")
    places = package.submodule_search_locations if package is not None else None
    found = [file for place in places or [] for file in Path(place).glob("_zkhelper*.so")]
    spec = importlib.util.spec_from_file_location("zkhelper._zkhelper", found[0])
    if spec is None or spec.loader is None:
        raise ImportError("zkhelper is not installed here")
    native: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(native)
    return [code for code in native.CODES if code[1] != "OK"]


def class_name(name: str) -> str:
    if name in NAMES:
        return NAMES[name]
    camel = "".join(word.capitalize() for word in name.split("_"))
    return camel if camel.endswith("Error") else f"{camel}Error"


def render() -> str:
    codes = table()
    text = HEAD
    for number, name, meaning, retriable in codes:
        bases = ["ZkhelperError"] + ([BASES[name]] if name in BASES else [])
        again = " Worth another try." if retriable else ""
        text += f"\nclass {class_name(name)}({', '.join(bases)}):\n"
        text += f'    """{meaning[0].upper()}{meaning[1:]}.{again}"""\n\n'
        text += f'    code = {number}\n    name = "{name}"\n    retriable = {retriable}\n\n'
    classes = [class_name(name) for _, name, _, _ in codes]
    rows = "".join(f"    {row[0]}: {cls},\n" for row, cls in zip(codes, classes, strict=True))
    names = "".join(f'    "{name}",\n' for name in sorted([*classes, "ZkhelperError"]))
    return text.rstrip("\n") + "\n" + TAIL.format(rows=rows, names=names)


def main() -> None:
    text = render()
    if "--check" not in sys.argv[1:]:
        PLACE.write_text(text)
    elif PLACE.read_text() != text:
        sys.exit("errors.py differs from the table of codes: run tools/make_errors.py")


if __name__ == "__main__":
    main()
