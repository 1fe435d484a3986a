"""Pretrained files that metrics and losses need: a manifest, a folder, fetch, add and verify. Nothing downloads unasked."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .errors import MissingWeights, UsageError
from .spec import nearest
from .store import write_json

TIMEOUT = 8  # seconds that an unreachable host may cost


@dataclass(frozen=True)
class Weights:
    """One pretrained file. ``sha256``: the whole hash, or the first 8 digits where only those are published, or empty."""

    name: str
    file: str
    purpose: str
    url: str
    sha256: str
    bytes: int | None
    licence: str
    opens: tuple[str, ...]  # metrics and losses


TORCHVISION = "https://download.pytorch.org/models"
PYIQA = "https://github.com/chaofengc/IQA-PyTorch/releases/download/v0.1-weights"
# Hashes: the files' names carry the first 8 digits of their SHA-256, which are checked. Where a manifest gives no hash,
# that of the first download is recorded in the store and checked from then on.
MANIFEST = (
    Weights("inception-fid", "pt_inception-2015-12-05-6726825d.pth", "Inception-v3 of the FID reference code",
            "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
            "6726825d", None, "Apache-2.0", ("fid",)),
    Weights("alexnet", "alexnet-owt-7be5be79.pth", "AlexNet on ImageNet", f"{TORCHVISION}/alexnet-owt-7be5be79.pth",
            "7be5be79", None, "BSD-3-Clause", ("lpips", "esrgan-jpeg-kernel")),
    Weights("vgg16", "vgg16-397923af.pth", "VGG16 on ImageNet", f"{TORCHVISION}/vgg16-397923af.pth",
            "397923af", None, "BSD-3-Clause", ("lpips[net=vgg]", "smooth-features")),
    Weights("vgg19", "vgg19-dcbb9e9d.pth", "VGG19 on ImageNet", f"{TORCHVISION}/vgg19-dcbb9e9d.pth",
            "dcbb9e9d", None, "BSD-3-Clause", ("esrgan-jpeg-kernel[variant=realsr]",)),
    Weights("squeezenet1_1", "squeezenet1_1-b8a52dc0.pth", "SqueezeNet 1.1 on ImageNet",
            f"{TORCHVISION}/squeezenet1_1-b8a52dc0.pth", "b8a52dc0", None, "BSD-3-Clause", ("lpips[net=squeeze]",)),
    Weights("nima-koniq", "NIMA_koniq-250367ae.pth", "NIMA (Inception-ResNet-v2) on KonIQ-10k",
            f"{PYIQA}/NIMA_koniq-250367ae.pth", "250367ae", None, "see pyiqa", ("nima[data=koniq]",)),
    Weights("nima-spaq", "NIMA-spaq-46a7fcb7.pth", "NIMA (Inception-ResNet-v2) on SPAQ",
            f"{PYIQA}/NIMA-spaq-46a7fcb7.pth", "46a7fcb7", None, "see pyiqa", ("nima[data=spaq]",)),
    Weights("nima-ava", "NIMA_InceptionV2_ava-b0c77c00.pth", "NIMA (Inception-ResNet-v2) on AVA",
            f"{PYIQA}/NIMA_InceptionV2_ava-b0c77c00.pth", "b0c77c00", None, "see pyiqa", ("nima",)),
)  # fmt: skip


def manifest() -> dict[str, Weights]:
    """The files by name; $BENCH_MANIFEST, a JSON list of the same fields, adds to them and replaces them."""
    found = {w.name: w for w in MANIFEST}
    extra = os.environ.get("BENCH_MANIFEST")
    if extra:
        try:
            rows = json.loads(Path(extra).read_text())
            found |= {r["name"]: Weights(**{**r, "opens": tuple(r["opens"])}) for r in rows}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UsageError(f"BENCH_MANIFEST={extra}: not a manifest ({error})") from None
    return found


def store() -> Path:
    """The folder of the files: $BENCH_WEIGHTS, or the user's cache."""
    if os.environ.get("BENCH_WEIGHTS"):
        return Path(os.environ["BENCH_WEIGHTS"]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "face-sr-bench" / "weights"


def find(name: str) -> Weights:
    known = manifest()
    if name not in known:
        raise UsageError(f"no weights {name!r}{nearest(name, known)}")
    return known[name]


def path(name: str) -> Path:
    """The local file of these weights. Raises MissingWeights, naming the command that gets it."""
    wanted = find(name)
    file = store() / wanted.file
    if not file.is_file():
        raise MissingWeights(f"{wanted.purpose} ({wanted.file}) is not here; get it with: bench weights fetch {name}")
    return file


def file_hash(name: str) -> str:
    """The first 16 hex digits of the file's SHA-256, for protocols."""
    file = path(name)
    return _sha256(file, file.stat().st_mtime_ns)[:16]


@cache
def _sha256(file: Path, changed: int) -> str:
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _recorded() -> dict[str, str]:
    file = store() / "recorded.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def check(wanted: Weights, file: Path) -> str:
    """How the file was checked. Raises UsageError where its hash or size is another than expected."""
    found = _sha256(file, file.stat().st_mtime_ns)
    expected = wanted.sha256 or _recorded().get(wanted.name, "")
    if not found.startswith(expected):
        raise UsageError(f"{file}: SHA-256 {found[:16]}… is not the {expected[:16]} expected of {wanted.name}; refused")
    if wanted.bytes and file.stat().st_size != wanted.bytes:
        raise UsageError(
            f"{file}: {file.stat().st_size} bytes, not the {wanted.bytes} expected of {wanted.name}; refused"
        )
    if not expected:
        write_json(store() / "recorded.json", {**_recorded(), wanted.name: found})
        return "no published hash; recorded now"
    return f"SHA-256 matches {'all' if len(expected) == 64 else f'the {len(expected)} published'} digits"


def fetch(name: str) -> str:
    """Download one file, going on where an earlier try stopped; checked before it takes its name."""
    wanted = find(name)
    target = store() / wanted.file
    if target.is_file():
        return f"{name}: already here, {check(wanted, target)}"
    part = target.with_name(f"{wanted.file}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        have = part.stat().st_size if part.exists() else 0
        request = urllib.request.Request(wanted.url, headers={"Range": f"bytes={have}-"} if have else {})
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            resumed = have and answer.status == 206
            total = int(answer.headers.get("Content-Length") or 0) + (have if resumed else 0)
            _save(answer, part, "ab" if resumed else "wb", name, total, have if resumed else 0)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise UsageError(
            f"{wanted.url}: cannot be reached ({reason}); on a machine with internet download it, then: bench weights add FILE"
        ) from None
    except OSError as error:
        raise UsageError(f"{part}: cannot be written ({error.strerror}); set BENCH_WEIGHTS to another folder") from None
    try:
        how = check(wanted, part)
    except UsageError:
        part.unlink()
        raise
    os.replace(part, target)
    return f"{name}: {target}, {how}"


def _save(answer: Any, part: Path, mode: str, name: str, total: int, done: int) -> None:
    from tqdm import tqdm

    bar = tqdm(total=total or None, initial=done, unit="B", unit_scale=True, desc=name, disable=not sys.stderr.isatty())
    with open(part, mode) as file, bar:
        while chunk := answer.read(1 << 18):
            file.write(chunk)
            bar.update(len(chunk))


def add(sources: list[str]) -> list[str]:
    """Copy files, or whatever of a folder the manifest knows by its file name, into the store; wrong hashes are refused."""
    by_file = {w.file: w for w in manifest().values()}
    lines = []
    for source in sources:
        origin = Path(source)
        if not origin.exists():
            raise UsageError(f"{source}: no such file or folder")
        files = sorted(f for f in origin.rglob("*") if f.name in by_file) if origin.is_dir() else [origin]
        if not files or files[0].name not in by_file:
            raise UsageError(f"{source}: no file of the manifest in it; names: {', '.join(sorted(by_file))}")
        for file in files:
            wanted = by_file[file.name]
            how = check(wanted, file)
            try:
                store().mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, store() / f"{file.name}.part")
                os.replace(store() / f"{file.name}.part", store() / file.name)
            except OSError as error:
                raise UsageError(f"{store()}: cannot be written ({error.strerror}); set BENCH_WEIGHTS") from None
            lines.append(f"{wanted.name}: {store() / file.name}, {how}")
    return lines


def rows() -> list[dict[str, Any]]:
    """The manifest, with what is here."""
    return [
        {**asdict(w), "present": (store() / w.file).is_file(), "path": str(store() / w.file)}
        for w in manifest().values()
    ]


def command(action: str, names: list[str], as_json: bool = False) -> int:
    """``bench weights``: list, fetch, add, verify."""
    if action == "list":
        found = rows()
        if as_json:
            print(json.dumps(found, indent=1))
        else:
            print(f"store: {store()} (BENCH_WEIGHTS moves it)")
            for row in found:
                print(
                    f"{'*' if row['present'] else ' '} {row['name']:<14} {row['purpose']:<40} opens {', '.join(row['opens'])}"
                )
        return 0
    if action == "add":
        if not names:
            raise UsageError("bench weights add FILE or FOLDER")
        print("\n".join(add(names)))
        return 0
    code = 0
    for name in names or [w for w in manifest() if action == "fetch" or (store() / find(w).file).is_file()]:
        try:
            print(fetch(name) if action == "fetch" else f"{name}: {check(find(name), path(name))}")
        except (UsageError, MissingWeights) as error:
            print(f"bench: {error}", file=sys.stderr)
            code = 1
            if "cannot be reached" in str(error):
                break
    return code
