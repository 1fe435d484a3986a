"""The commands from Python: ``bench.run``, ``bench.score``, ``bench.load``. Nothing here is kept between calls."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bench import plugins
from bench.api.model import Method
from bench.cluster import isolated
from bench.commands.models import ready
from bench.commands.score import command as score_command
from bench.core.device import resolve_device
from bench.core.files import folder_name
from bench.core.image import read_image, to_float, to_uint8
from bench.core.results import read_table
from bench.errors import UsageError
from bench.grid.inference import batch_size, checked_sr, fast, halving
from bench.grid.run import Run
from bench.grid.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

Names = str | Sequence[str] | Mapping[str, str]
Place = str | Path


@dataclass(frozen=True)
class Results:
    """What a run left in its folder. In a notebook it shows its means as a table."""

    folder: Path
    code: int = 0  # as the command's: 0, or 1 where a cell failed

    @property
    def frame(self) -> pd.DataFrame:
        """The tidy table: one row a value (docs/metrics.md has the columns)."""
        return read_table(self.folder)

    @property
    def record(self) -> dict[str, Any]:
        """run.json."""
        found: dict[str, Any] = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        return found

    @property
    def failed(self) -> dict[str, str]:
        """Failed cells and why."""
        return {row["cell"]: row["reason"] for row in self.record["failed"]}

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    def table(self, condition: str | None = None) -> pd.DataFrame:
        """Means: a row a condition and method (a method, of one condition), a column a metric."""
        rows = self.frame
        rows = rows[(rows["image"] == "") & (rows["method"] != "") & (rows["status"] == "ok")]
        rows = rows[~rows["metric"].str.contains(r"\.[^\]]*$")]  # parts of metrics are in the frame
        if condition is not None:
            rows = rows[rows["condition"] == condition]
        index = ["method", "variant", "degradation", *(["condition"] if condition is None else [])]
        found = rows.pivot_table("value", index, "metric", sort=False)
        return found.droplevel([n for n in index[1:3] if not rows[n].any()])

    def images(self, method: str, condition: str) -> dict[str, np.ndarray]:
        """Face -> its restored image, (H, W, 3) uint8, as matplotlib shows it. ``lr`` and ``hr`` are methods here."""
        labels = {m["label"]: m["images"] for m in self.record["methods"]} | {"lr": "lr", "hr": "hr"}
        if method not in labels:
            raise UsageError(f"no method {method!r} in {self.folder}; it has {', '.join(labels)}")
        place = self.folder / "images" / labels[method]
        place = place if method == "hr" else place / folder_name(condition)
        return {file.stem: read_image(file).transpose(1, 2, 0) for file in sorted(place.glob("*.png"))}

    def image(self, method: str, condition: str, face: str) -> np.ndarray:
        """One of ``images``."""
        return self.images(method, condition)[folder_name(face)]

    def _repr_html_(self) -> str:
        return str(self.table().to_html(float_format="{:.3f}".format, escape=True))


def names(given: Names) -> str:
    """A list, or a mapping of a row's name to its spec, as the command line has it."""
    if isinstance(given, Mapping):
        return ",".join(f"{name}={spec}" for name, spec in given.items())
    return given if isinstance(given, str) else ",".join(given)


def run(
    methods: Names = "all",
    *,
    hr: Place | None = None,
    lr: Place | None = None,
    degradations: Names = "",
    conditions: Names = Settings.conditions,
    metrics: Names = "",
    out: Place = "bench-run",
    plugin: Sequence[Place] = (),
    quiet: bool = True,
    **settings: Any,
) -> Results:
    """The whole grid, as ``bench run``: what is in the store is not computed again.

    ``settings``: the other options of the command, as ``bench.grid.settings.Settings`` has them (``preset``, ``budget`` in
    seconds, ``seeds`` as a tuple, ``device`` ...), and ``isolate`` and ``time_limit`` (seconds). Cells that fail are in
    ``failed``; UsageError for a mistake.
    """
    plugins.use(*plugin)
    way, limit = settings.pop("isolate", "auto"), settings.pop("time_limit", None)
    unknown = set(settings) - set(Settings.__dataclass_fields__)
    if unknown:
        raise UsageError(f"bench.run: no option {', '.join(sorted(unknown))}")
    chosen = Settings(
        methods=names(methods), hr=str(hr) if hr else None, lr=str(lr) if lr else None, degradations=names(degradations),
        conditions=names(conditions), metrics=names(metrics), out=str(out), quiet=quiet, **settings,
    )  # fmt: skip
    code = Run(chosen, "bench.run(...)").go(isolated.executor(way, limit))
    return Results(Path(out), code)


def score(sr: Place, *, hr: Place | None = None, lr: Place | None = None, metrics: Names = "", device: str = "auto",
          **options: Any) -> pd.DataFrame:  # fmt: skip
    """The tidy table of a folder of restored faces, as ``bench score``; ``options``: its others."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        score_command(str(sr), str(hr) if hr else None, str(lr) if lr else None, metrics=names(metrics), out=folder,
                      device=device, **{"reference": None, "scale": None, **options})  # fmt: skip
        return read_table(Path(folder)).copy()


class Restorer:
    """A method ready for inference: call it with an image, a batch, or a list of images."""

    def __init__(self, model: Method, device: torch.device) -> None:
        self.model, self.device, self.scale = model, device, model.scale

    def __call__(self, lr: Any) -> Any:
        """(h, w, 3) uint8 -> (scale*h, scale*w, 3) uint8; a list of such, each of its size; or (B, 3, h, w) floats in [0, 1]."""
        if isinstance(lr, torch.Tensor):
            size = batch_size(tuple(lr.shape), self.device)
            parts = [halving(self._infer, part.to(self.device)) for part in lr.split(size)]
            return torch.cat(parts).to(lr.device)
        if isinstance(lr, list):
            return [self(image) for image in lr]
        image = torch.from_numpy(np.ascontiguousarray(lr.transpose(2, 0, 1)))[None]
        return to_uint8(self(to_float(image)))[0].permute(1, 2, 0).cpu().numpy()

    def _infer(self, lr: torch.Tensor) -> torch.Tensor:
        return checked_sr(self.model.infer(lr.clone()), lr, self.scale, type(self.model).__name__).clamp(0, 1)


def load(name: str, weights: Place | None = None, *, device: str = "auto", plugin: Sequence[Place] = ()) -> Restorer:
    """A method for inference, as ``bench infer``: its name with options, and weights that a run or training wrote."""
    plugins.use(*plugin)
    target = resolve_device(device)
    model = fast(ready("methods", name, str(weights) if weights else None).to(target)).eval()
    assert isinstance(model, Method)
    return Restorer(model, target)
