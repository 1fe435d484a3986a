"""The harness against a bare loop, and its drawing of batches against a DataLoader over PNG files. One run, side by side.

    python benchmarks/loop.py [--device cuda] [--hr FOLDER] [--steps 60] [--rounds 5]

Prints ratios: steps/s of bench.training.loop.fit over those of a hand-written loop of the same step on the same resident data;
images/s of Sampler.draw over those of a DataLoader without workers that decodes and augments PNG files one by one, with
all augmentations and with flips alone; on a GPU, the share of a training step that the draw takes.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from bench.degradations.conditions import Bicubic
from bench.methods.low_to_high import LowToHigh
from torch.utils.data import DataLoader, Dataset
from torchvision.io import decode_image
from torchvision.transforms import InterpolationMode, v2

from bench import Augment, View
from bench.core.image import write_image
from bench.core.spec import override
from bench.faces.faceset import Data, FaceSet
from bench.faces.procedural import portrait
from bench.faces.read import images_under, load
from bench.kit.blocks import to_signed
from bench.training.loop import fit
from bench.training.sampler import Sampler
from bench.training.settings import TrainSettings

ALL = Augment(flip=True, zoom=0.1, rotate=10.0, jitter=0.1)
FLIPS = Augment()
BILINEAR = InterpolationMode.BILINEAR


class PngFaces(Dataset):
    """What people write: decode, augment with torchvision, one face at a time."""

    def __init__(self, files: list[Path], augment: Augment) -> None:
        self.files = files
        steps: list[torch.nn.Module] = [v2.RandomHorizontalFlip()]
        if augment.rotate:
            steps += [
                v2.RandomAffine(augment.rotate, scale=(1 - augment.zoom, 1 + augment.zoom), interpolation=BILINEAR),
                v2.ColorJitter(augment.jitter, augment.jitter, augment.jitter),
            ]  # fmt: skip
        self.change = v2.Compose([*steps, v2.ToDtype(torch.float32, scale=True)])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.change(decode_image(str(self.files[index])))


def rate(work, count: int, device: torch.device) -> float:
    """Calls of ``work`` a second."""
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(count):
        work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return count / (time.perf_counter() - begin)


def model_of(quick: bool, steps: int) -> LowToHigh:
    """Low-to-High with its pixel loss: quick size on a CPU, full size on a GPU."""
    options = {
        "beta": 0.0,
        "steps": steps,
        "augment": ALL,
        **({"widths": (32, 24, 16), "batch": 16} if quick else {"batch": 64}),
    }
    return LowToHigh(override(LowToHigh.Params(), options, "low-to-high"), degradation=Bicubic())


def harness_rate(data: Data, device: torch.device, steps: int) -> float:
    """Steps/s within fit, between its 10th and last step (start-up is not the loop's)."""
    times: list[float] = []

    def build() -> LowToHigh:
        model = model_of(device.type == "cpu", steps)
        step = model.step

        def timed(batch, run) -> None:
            step(batch, run)
            if run.step in (9, steps - 1):
                if device.type == "cuda":
                    torch.cuda.synchronize()
                times.append(time.perf_counter())

        model.step = timed
        return model

    with tempfile.TemporaryDirectory() as folder:
        fit(build, data, TrainSettings(device=device.type, precision="fp32"), checkpoint=Path(folder) / "c.pt",
            log=Path(folder) / "log", quiet=True)  # fmt: skip
    return (steps - 10) / (times[1] - times[0])


def bare_rate(data: Data, device: torch.device, steps: int) -> float:
    """The same step in a bare loop: draw, degrade, forward, backward, Adam."""
    model = model_of(device.type == "cpu", steps).to(device).train()
    optimizer = torch.optim.Adam(model.net.parameters(), 1e-4, (0.0, 0.9))
    sampler = Sampler(data.hr_train, View(model.hr_size), device)
    real = Sampler(data.lr_train, View(model.lr_size), device) if data.lr_train else None
    generator = torch.Generator(device).manual_seed(0)
    begin = 0.0
    for step in range(steps):
        hr = sampler.draw(model.params.batch, ALL, generator)
        if real:
            real.draw(model.params.batch, ALL, generator)
        with torch.no_grad():
            lr = Bicubic().infer(hr)
        loss = F.mse_loss(model.net(to_signed(lr)), to_signed(hr))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step == 9:
            if device.type == "cuda":
                torch.cuda.synchronize()
            begin = time.perf_counter()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (steps - 10) / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--hr", help="a folder of faces; default: 512 embedded ones")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    device = torch.device(options.device)
    with tempfile.TemporaryDirectory() as folder:
        if options.hr:
            data, files = load(options.hr, None), images_under(Path(options.hr))
        else:
            images, _ = portrait.faces(128, 4)
            for index, image in enumerate(images):
                write_image(Path(folder) / f"{index}.png", image)
            faces = FaceSet.of(list(images), [str(i) for i in range(len(images))])
            data, files = Data(faces, faces), images_under(Path(folder))
        print(f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads, {len(data.hr_train)} faces")
        sampler, generator = (
            Sampler(data.hr_train, View(data.hr_train.size), device),
            torch.Generator(device).manual_seed(0),
        )
        for name, augment, least in (("all augmentations", ALL, 2.5), ("flips alone", FLIPS, 8.0)):
            ours, theirs = [], []
            for _ in range(options.rounds):
                ours.append(64 * rate(lambda a=augment: sampler.draw(64, a, generator), 40, device))
                loader = DataLoader(PngFaces(files, augment), 64, shuffle=True, drop_last=True)
                begin = time.perf_counter()
                count = sum(len(batch.to(device)) for batch in loader)
                theirs.append(count / (time.perf_counter() - begin))
            print(
                f"draw, {name}: {median(ours):,.0f} images/s, DataLoader {median(theirs):,.0f}: "
                f"{median(ours) / median(theirs):.1f}x (aim {least}x)"
            )
        rates = [
            (harness_rate(data, device, options.steps), bare_rate(data, device, options.steps))
            for _ in range(options.rounds)
        ]
        ours, theirs = (median(r) for r in zip(*rates, strict=True))
        print(f"loop: {ours:.2f} steps/s, bare {theirs:.2f}: {median(a / b for a, b in rates):.3f}x (aim 0.97x)")
        if device.type == "cuda":
            draw = 1 / rate(lambda: sampler.draw(64, ALL, generator), 100, device)
            print(f"draw: {draw * 1000:.2f} ms of a {1000 / ours:.1f} ms step: {100 * draw * ours:.1f} % (aim 2 %)")


if __name__ == "__main__":
    main()
