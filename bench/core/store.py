"""Content-addressed artefacts: only successes are kept, under a hash of what they depend on."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.errors import StoreError


class Store:
    """A folder of artefacts: ``KIND/HASH/``, each complete or absent."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, kind: str, key: str) -> Path:
        return self.root / kind / key

    def has(self, kind: str, key: str) -> bool:
        return self.path(kind, key).is_dir()

    def put(self, kind: str, key: str, fill: Callable[[Path], Any]) -> Path:
        """Fill a temporary folder, then rename it into place. A failure leaves nothing behind."""
        final = self.path(kind, key)
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=final.parent))
        except OSError as error:
            raise StoreError(f"{final.parent}: cannot be written ({error.strerror}); choose another --out") from error
        try:
            fill(temporary)
            shutil.rmtree(final, ignore_errors=True)
            os.replace(temporary, final)
        except OSError as error:
            raise StoreError(
                f"{final}: cannot be written ({error.strerror or error}); free space or choose another --out"
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return final

    def drop(self, kind: str, key: str) -> None:
        shutil.rmtree(self.path(kind, key), ignore_errors=True)
