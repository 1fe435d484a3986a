"""The smaller commands: info, train, infer, degrade, score, report, data."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from functools import partial
from pathlib import Path
from typing import Any

import torch

from . import plan, plugins
from . import run as harness
from .apply import degrade as apply_degradation
from .apply import load_weights
from .config import Settings
from .data import Data, FaceSet, _images_under, list_files, load, pack, unpack
from .device import resolve_device
from .errors import BenchError, MissingWeights, UsageError
from .image import UnreadableImage, read_image, resize, to_float, to_uint8, write_image
from .metric import Metric, Outputs, Unavailable
from .model import Model
from .results import evaluate, write_table
from .spec import describe as type_in_words
from .spec import nearest, override, parse
from .store import link


def find(name: str) -> tuple[str, Any]:
    """The kind and class of a method, degradation or metric."""
    kinds = ("methods", "degradations", "metrics")
    for kind in kinds:
        if name in plugins.names(kind):
            return kind, plugins.load(kind, name)
    raise UsageError(f"no plugin {name!r}{nearest(name, [n for kind in kinds for n in plugins.names(kind)])}")


def untrained(text: str, preset: str, kind: str = "") -> tuple[Any, Model]:
    """A model by its name with options, without data, on the CPU."""
    spec = parse(text)
    if kind:
        plugins.entry(kind, spec.name)
    _, cls = find(spec.name) if not kind else (kind, plugins.load(kind, spec.name))
    params = plan.parameters(cls, spec, preset)
    return cls, cls(params, scale=plan._scale(cls, spec, plan._variant(cls, spec)))


# ---------------------------------------------------------------- info


def info(text: str, preset: str) -> dict[str, Any]:
    """What is known about a plugin: name first, then kind, summary, paper, parameters, variants and size."""
    spec = parse(text)
    kind, cls = find(spec.name)
    params = plan.parameters(cls, spec, preset)
    found: dict[str, Any] = {
        "name": spec.name,
        "kind": kind[:-1],
        "summary": plugins.entry(kind, spec.name).summary,
        "paper": cls.paper,
        "doc": inspect.getdoc(cls) or "",
        "parameters": described(params),
        "variants": cls.variants,
        "quick": cls.quick,
    }
    if kind == "metrics":
        metric = cls(params)
        return {
            **found,
            "direction": cls.direction,
            "needs": list(cls.needs),
            "weights": list(metric.required_weights()),
        }
    scale = plan._scale(cls, spec, plan._variant(cls, spec))
    found |= {
        "scale": scale,
        "scales": list(cls.scales_for(params)),
        "trains": cls.trains(),
        "parameter_count": None,
        "multiply_adds": None,
    }
    try:
        model = cls(params, scale=scale).eval()
        found["parameter_count"] = model.parameter_count()
        found["multiply_adds"] = multiply_adds(model, kind)
    except BenchError as error:  # needs a file that was not given
        found["note"] = str(error)
    return found


def described(params: Any, prefix: str = "") -> list[dict[str, Any]]:
    """Name, default and type of each parameter; those of a nested group with dotted names, as they are overridden."""
    hints, found = typing.get_type_hints(type(params)), []
    for field in dataclasses.fields(params):
        value, name = getattr(params, field.name), prefix + field.name
        if dataclasses.is_dataclass(value):
            found += described(value, f"{name}.")
        else:
            found.append({"name": name, "default": value, "type": type_in_words(hints[field.name])})
    return found


def multiply_adds(model: Model, kind: str) -> int:
    """Multiply-adds of one 64x64 face (from or to 64 px), counted by torch."""
    from torch.utils.flop_counter import FlopCounterMode

    side = 64 if kind == "degradations" else 64 // model.scale
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model.infer(torch.rand(1, 3, side, side))
    return counter.get_total_flops() // 2


def describe(found: dict[str, Any]) -> str:
    """``info`` for a person."""
    lines = [f"{found['name']} ({found['kind']}): {found['summary']}"]
    if found["paper"]:
        lines.append(found["paper"])
    if found["doc"]:
        lines += ["", found["doc"]]
    if found.get("parameter_count") is not None:
        lines += ["", f"parameter_count  {found['parameter_count']:,} ({found['parameter_count'] / 1e6:.2f} M)"]
        lines.append(f"multiply_adds    {found['multiply_adds']:,} for a 64x64 face at x{found['scale']}")
    if "scales" in found:
        lines.append(f"scale            {found['scale']} of {', '.join(map(str, found['scales']))}")
    if "note" in found:
        lines.append(f"note             {found['note']}")
    if found.get("weights"):
        lines.append(f"weights          {', '.join(found['weights'])}")
    if found["parameters"]:
        lines += ["", "parameters:"]
        width = max(len(p["name"]) for p in found["parameters"])
        lines += [f"  {p['name']:<{width}}  {p['default']!s:<12} {p['type']}" for p in found["parameters"]]
    for title in ("variants", "quick"):
        if found[title]:
            lines += ["", f"{title}:" if title == "variants" else "quick preset:"]
            rows = found[title].items() if title == "variants" else [("", found[title])]
            lines += [
                f"  {name + '  ' if name else ''}{', '.join(f'{k}={v}' for k, v in o.items())}" for name, o in rows
            ]
    return "\n".join(lines)


# ---------------------------------------------------------------- train, infer, degrade


def train(method: str, out: Path, settings: Settings, line: str) -> int:
    """Train one method and what it is trained on; its weights go to ``out``, logs and checkpoints beside it."""
    whole = harness.Bench(dataclasses.replace(settings, conditions="bicubic", metrics=""), line)
    whole.check_weights()
    if whole.failed:  # without the method, what it is trained on is of no use
        raise UsageError(next(iter(whole.failed.values())))
    for recipe in whole.plan.trained:
        whole.attempt(f"train {recipe.label}", partial(whole.train, recipe))
    wanted = whole.plan.methods[0]
    if not wanted.trains:
        raise UsageError(f"{wanted.label} is not trained")
    for cell, reason in whole.failed.items():
        print(f"failed: {cell}: {reason}", file=sys.stderr)
    if whole.failed:
        return 1
    link(whole.store.path("train", wanted.key) / "model.pt", out)
    print(f"{out}: weights of {wanted.label}")
    return 0


def trained(kind: str, text: str, weights: str | None) -> Model:
    """A model for inference from its name and a file of weights."""
    spec = parse(text)
    cls = plugins.load(kind, spec.name)
    if weights is None:
        if cls.trains():
            raise UsageError(
                f"{spec.name} is trained: give its weights with --weights CKPT (made by `bench train` or `bench run`)"
            )
        return untrained(text, "paper", kind)[1]
    try:
        saved = torch.load(weights, map_location="cpu", weights_only=True)
        made_for = saved["kind"], saved["name"]
    except FileNotFoundError:
        raise UsageError(f"--weights {weights}: no such file") from None
    except Exception as error:
        raise UsageError(f"--weights {weights}: not weights of bench ({str(error).partition(chr(10))[0]})") from None
    if made_for != (kind, spec.name):
        raise UsageError(f"--weights {weights}: weights of {made_for[1]}, not of {spec.name}")
    params = override(cls.Params(), saved["params"], spec.name)
    params = override(params, dict(spec.without(*plan.RESERVED).options), spec.name)
    model = cls(params, scale=saved["scale"], hr_size=saved["hr_size"])
    load_weights(model, Path(weights))
    return model


def each_image(source: str, target: str) -> list[tuple[Path, Path]]:
    """Input and output files: a file, or all images below a folder. Outputs are PNG."""
    path, out = Path(source), Path(target)
    if path.is_file():
        return [(path, out if out.suffix else out / f"{path.stem}.png")]
    if not path.is_dir():
        raise UsageError(f"{source}: no such file or folder")
    files = _images_under(path)
    if not files:
        raise UsageError(f"{source}: no image files in this folder")
    return [(f, out / f.relative_to(path).with_suffix(".png")) for f in files]


def convert(files: list[tuple[Path, Path]], function: Any, device: torch.device) -> int:
    """Read, change, write; a file that cannot be read is named, the others are done. Exit code 1 if there was one."""
    bad = 0
    for source, target in files:
        try:
            image = to_float(torch.from_numpy(read_image(source))[None].to(device))
        except UnreadableImage as error:
            print(f"bench: {error}; skipped", file=sys.stderr)
            bad += 1
            continue
        with torch.inference_mode():
            result = to_uint8(function(image))[0].cpu()
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_image(target, result)
        except (OSError, ValueError) as error:
            raise UsageError(f"{target}: cannot be written ({error})") from None
    print(f"{len(files) - bad} images written, {bad} skipped")
    if bad == len(files):
        raise UsageError("none of the images could be read")
    return 1 if bad else 0


def infer(method: str, weights: str | None, input: str, output: str, device: str) -> int:
    target = resolve_device(device)
    model = trained("methods", method, weights).to(target).eval()
    return convert(each_image(input, output), model.infer, target)


def degrade(
    name: str, weights: str | None, show: str | None, seed: int, input: str | None, output: str | None, device: str
) -> int:
    target = resolve_device(device)
    model = trained("degradations", name, weights).to(target).eval()
    if show:
        if not hasattr(model, "picture"):
            raise UsageError(f"{name} has no picture to show")
        write_image(show, model.picture())  # type: ignore[operator]
        print(f"{show}: picture of {name}")
    if input is None or output is None:
        if not show:
            raise UsageError("give IN and OUT, or --show PNG")
        return 0
    counter = iter(range(seed, 2**62))

    def one(image: torch.Tensor) -> torch.Tensor:
        height, width = (side - side % model.scale for side in image.shape[-2:])
        if not height or not width:
            raise UsageError(f"an image of {image.shape[-1]}x{image.shape[-2]} px is too small for scale {model.scale}")
        return apply_degradation(model, image[..., :height, :width], next(counter))

    return convert(each_image(input, output), one, target)


# ---------------------------------------------------------------- score, report


def score(sr: str, hr: str | None, lr: str | None, metrics: str, out: str | None, device: str) -> int:
    """Measure a folder of images that any program made; prints the means."""
    restored = folder_of_images(sr)
    names = restored.names
    truth, inputs = (aligned(folder_of_images(f), names, f) if f else None for f in (hr, lr))
    target = resolve_device(device)
    scale = restored.images()[0].shape[1] // inputs[0].shape[1] if inputs else 4
    outputs = Outputs(
        sr=restored.images(), names=names, hr=truth, lr=inputs, reference_hr=truth, scale=scale, device=target
    )
    rows: list[dict[str, Any]] = []
    code = 0
    head = {
        "method": Path(sr).name,
        "variant": "",
        "degradation": "",
        "condition": Path(lr).name if lr else "",
        "seed": 0,
    }
    for measure in plan.measures(metrics, "paper"):
        metric: Metric = measure.metric
        base = {**head, "metric": measure.label, "direction": metric.direction}
        try:
            found, protocol, _ = evaluate(metric, measure.label, outputs)
        except (MissingWeights, Unavailable) as error:
            rows.append({**base, "status": "unavailable", "reason": str(error)})
            code = max(code, int(measure.asked))
        except Exception as error:
            rows.append({**base, "status": "failed", "reason": f"{type(error).__name__}: {error}"})
            code = 1
        else:
            for row in found:
                key = row.pop("key")
                rows.append({**base, **row, "metric": measure.label + key, "status": "ok", "protocol": protocol})
    for row in rows:
        if not row.get("image"):
            shown = (
                f"{row['value']:.4f} (n = {row['n']})" if row["status"] == "ok" else f"{row['status']}: {row['reason']}"
            )
            print(f"{row['metric']:<28} {shown}")
    if out:
        harness.prepare_folder(Path(out))
        write_table(Path(out), rows)
    return code


def folder_of_images(folder: str) -> FaceSet:
    if not Path(folder).is_dir():
        raise UsageError(f"{folder}: no such folder")
    files = _images_under(Path(folder))
    if not files:
        raise UsageError(f"{folder}: no image files in this folder")
    try:
        images = [read_image(f) for f in files]
    except UnreadableImage as error:
        raise UsageError(str(error)) from None
    return FaceSet.of(images, [str(f.relative_to(folder).with_suffix("")) for f in files], folder)


def aligned(faces: FaceSet, names: list[str], folder: str) -> list[Any]:
    """Images of another folder in the order of these names."""
    known = dict(zip(faces.names, faces.images(), strict=True))
    lacking = [n for n in names if n not in known]
    if lacking:
        raise UsageError(f"{folder}: {len(lacking)} images lack a counterpart, {lacking[0]} for one")
    return [known[n] for n in names]


def report(runs: list[Path], format: str, out: str | None) -> int:
    for folder in runs:
        if not (folder / "results.parquet").is_file() and not (folder / "results.csv").is_file():
            raise UsageError(f"{folder}: no results of a run in this folder")
    render = plugins.load("reports", format)
    default = runs[0] / ("tables" if format == "latex" else f"report.{format}")
    for path in render(runs, Path(out) if out else default):
        print(path)
    return 0


# ---------------------------------------------------------------- data


def data(action: str, paths: list[str], hr: str | None, lr: str | None, size: int, strict: bool) -> int:
    """make OUT: pack --hr and --lr (or the embedded faces); crop IN OUT: centre squares; info PATH: what a set holds."""
    wanted = {"make": 1, "crop": 2, "info": 1}[action]
    if len(paths) != wanted and not (action == "info" and not paths):
        raise UsageError(f"bench data {action} takes {wanted} path{'s' if wanted > 1 else ''}")
    if action == "make":
        return make(Path(paths[0]), hr, lr, strict)
    if action == "crop":
        return crop(paths[0], paths[1], size)
    found = read(paths[0], strict) if paths else load(None, None)
    sets = {"HR train": found.hr_train, "HR test": found.hr_test, "LR train": found.lr_train, "LR test": found.lr_test}
    for name, faces in sets.items():
        if faces is not None:
            print(
                f"{name:<9} {len(faces):>7} faces, {faces.extent}, fingerprint {faces.fingerprint}, from {faces.source}"
            )
    for reason in found.skipped:
        print(f"skipped: {reason}")
    return 0


def read(path: str, strict: bool) -> Data:
    """One set, whatever its size: a packed file, folder or list."""
    if path.endswith(".safetensors"):
        return Data(*unpack(Path(path)))
    if not Path(path).exists():
        raise UsageError(f"{path}: no such file or folder")
    list_files(Path(path), "HR")
    return load(path, None, multiple=1, strict=strict)


def make(out: Path, hr: str | None, lr: str | None, strict: bool) -> int:
    """Pack the sets: OUT/hr.safetensors and OUT/lr.safetensors, to be given to --hr and --lr."""
    found = load(hr, lr, strict=strict)
    harness.prepare_folder(out)
    pack(out / "hr.safetensors", found.hr_train, found.hr_test)
    print(f"{out / 'hr.safetensors'}: {len(found.hr_train)} train and {len(found.hr_test)} test faces")
    if found.lr_train is not None and found.lr_test is not None:
        pack(out / "lr.safetensors", found.lr_train, found.lr_test, found.truth)
        print(f"{out / 'lr.safetensors'}: {len(found.lr_train)} train and {len(found.lr_test)} test faces")
    return 0


def crop(source: str, target: str, size: int) -> int:
    """Centre squares of every image, resized (antialiased bicubic) to size x size."""

    def square(image: torch.Tensor) -> torch.Tensor:
        height, width = image.shape[-2:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return resize(image[..., top : top + side, left : left + side], size)

    return convert(each_image(source, target), square, torch.device("cpu"))
