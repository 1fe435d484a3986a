"""Files written whole or not at all, sealed where they must be trusted, copied where they are shown."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.core.hashing import content_hash
from bench.errors import StoreError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SEAL = b"bench/sha256:"  # what stands before the digest at the end of a sealed file
PART = re.compile(r"\.[0-9a-f]{8}\.(?P<host>.+)\.(?P<pid>\d+)\.part")  # names that `part_of` gives
LONGEST = 200  # bytes of one part of a path; file systems take 255, and a suffix must fit


def part_of(path: Path) -> Path:
    """A temporary name beside ``path`` that says whose it is: this process of this machine."""
    short = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]
    return path.with_name(f".{short}.{socket.gethostname()}.{os.getpid()}.part")


def left_behind(name: str) -> bool:
    """Whether a temporary name is of a process of this machine that has ended."""
    match = PART.fullmatch(name)
    return match is not None and match["host"] == socket.gethostname() and not alive(int(match["pid"]))


def alive(pid: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def gone(path: Path) -> None:
    """Remove whatever lies at ``path``: a file, a link, a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def clear(root: Path, folder: Path) -> None:
    """Remove what is no folder on the way from ``root``, which is bench's own, to ``folder``."""
    for place in (*reversed(folder.relative_to(root).parents), folder.relative_to(root)):
        if (root / place).exists() and not (root / place).is_dir():
            gone(root / place)


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Call ``write`` with a temporary name beside ``path``, then rename. Raises StoreError, naming the place."""
    temporary = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror or error}); free space or choose another --out"
        ) from error
    except Exception as error:
        if "No space left" in str(error) or "Read-only" in str(error) or "file write failed" in str(error):
            raise StoreError(f"{path}: cannot be written ({error}); free space or choose another --out") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """A text as UTF-8, whole or not at all; where a link or a pipe lies at ``path``, to what that is."""
    data, place = text.encode(), path.resolve()
    if place.exists() and not place.is_file() and not place.is_dir():  # a pipe, a terminal
        place.write_bytes(data)
    else:
        write_atomically(place, lambda temporary: temporary.write_bytes(data))


def write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=1, sort_keys=True, default=str)
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))


def write_sealed(path: Path, write: Callable[[io.BytesIO], Any]) -> None:
    """As ``write_atomically``, with the SHA-256 of the content at the file's end: damage does not go unseen."""
    content = io.BytesIO()
    write(content)
    body = content.getbuffer()
    seal = SEAL + hashlib.sha256(body).digest()

    def fill(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            file.write(body)
            file.write(seal)

    write_atomically(path, fill)


def read_sealed(path: Path) -> io.BytesIO | None:
    """The content of a sealed file; None where there is none, or where it is not what was written."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    body, seal = data[: -len(SEAL) - 32], data[-len(SEAL) - 32 :]
    return io.BytesIO(body) if seal == SEAL + hashlib.sha256(body).digest() else None


def copy(source: Path, target: Path) -> None:
    """Make ``target`` a file of its own with the content of ``source``, whole or not at all; not where it has it."""
    own = target.is_file() and not target.is_symlink() and not target.samefile(source)
    if own and content_hash(target) == content_hash(source):
        return
    write_atomically(target, lambda temporary: shutil.copyfile(source, temporary))


def prepare_folder(out: Path) -> None:
    """Make the run's folder and try to write there. Raises UsageError before any work where that fails."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = part_of(out / "probe")
        probe.write_bytes(b"bench")
        probe.unlink()
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written ({error.strerror}); choose another folder") from None


def folder_name(label: str) -> str:
    """A label as the name of one folder or file: on every file system, inside its folder, and distinct.

    Letters, digits and ``-+=,.[]()`` and blanks stay; a name that had to change, or is too long, ends in a hash of what it was.
    """
    plain = re.sub(r"[^\w\-+=,.\[\]() ]", "_", label.encode("utf-8", "backslashreplace").decode())
    plain = plain.encode()[:LONGEST].decode(errors="ignore")
    if plain == label and not plain.startswith((".", " ")) and not plain.endswith((".", " ")) and plain:
        return plain
    return f"{plain.strip('. ')[: LONGEST - 9] or '_'}~{hashlib.sha256(label.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file. Raises UsageError with its name and what is wrong."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{path}: not TOML ({error})") from None
