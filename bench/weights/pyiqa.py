"""pyiqa's metrics by name: what its own configuration says of them, and which files its sources ask for. No torch here."""

from __future__ import annotations

import re
import runpy
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from bench.core.literals import source_of
from bench.core.spec import nearest
from bench.errors import UsageError
from bench.weights.manifest import PYIQA, Weights

PREFIX = "pyiqa:"  # of a metric's name, and of a file's, in `bench weights`
OF_SETS = ("FID", "InceptionScore")  # networks that measure a folder, not a face
SOURCES = ("pyiqa/archs", "clip", "torchvision/models", "facexlib/detection", "facexlib/parsing")
FILE = r"[\w+.-]+\.(?:pth|pt|mat|npz)"
LICENCE = "of its authors; pyiqa: PolyForm-NC-1.0"


def _folder(package: str) -> Path:
    file = source_of(package)
    if file is None:
        raise UsageError(f"needs the package {package}")
    return file.parent


@cache
def configurations() -> dict[str, dict[str, Any]]:
    """Name -> what pyiqa says of a metric: ``metric_mode`` (FR, NR), ``lower_better``, ``score_range``."""
    return runpy.run_path(str(_folder("pyiqa") / "default_model_configs.py"))["DEFAULT_CONFIGS"]


def configuration(name: str) -> dict[str, Any]:
    """Raises UsageError for a name that pyiqa does not know, with the nearest, and for what does not measure a face."""
    known = configurations()
    if name not in known:
        raise UsageError(f"pyiqa has no metric {name!r}{nearest(name, known)}")
    if known[name]["metric_opts"]["type"] in OF_SETS:
        raise UsageError(f"pyiqa's {name} measures a set, not a face: fid, kid, fd-dinov2 and cmmd do that here")
    return known[name]


@cache
def addresses() -> dict[str, str]:
    """File name -> address, of all files that pyiqa's sources, and those of the packages that it builds on, name."""
    found: dict[str, str] = {}
    for place in SOURCES:
        package, _, below = place.partition("/")
        if source_of(package) is None:
            continue
        for source in sorted((_folder(package) / below).glob("*.py")):
            text = source.read_text(encoding="utf-8")
            for file in re.findall(rf"get_url_from_name\(\s*(?:name=)?['\"]({FILE})['\"]", text):
                found[file] = f"{PYIQA}/{quote(file)}"
            for url in re.findall(rf"['\"](https://[^'\"\s]+/{FILE})['\"]", text):
                found.setdefault(unquote(url.rpartition("/")[2]), url)
    return found


def weights_of(file: str, url: str = "") -> Weights:
    """A file that pyiqa asks for; of its hash what the address says (CLIP's all of it) or the file's name (8 digits)."""
    url = url or addresses().get(file, "")
    digits = next((part for part in urlsplit(url).path.split("/") if re.fullmatch(r"[0-9a-f]{64}", part)), "")
    if not digits and (tail := re.search(r"-([0-9a-f]{8})\.\w+$", file)):
        digits = tail[1]
    return Weights(f"{PREFIX}{file}", file, "a file of pyiqa's", url, digits, None, LICENCE)
