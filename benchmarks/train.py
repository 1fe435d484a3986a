"""Steps a second and peak memory of every full-size training, plain against the settings of the harness.

    python benchmarks/train.py [--device cuda] [--models NAMES] [--settings NAMES] [--batch N] [--steps 20]

Each model trains with the paper's sizes through bench.training.loop.fit, each of its stages for a few steps, each setting in a
process of its own. ``plain``: float32, contiguous, as the networks come. ``harness``: what `bench run` does by itself: each
model's memory format, bf16 where the GPU has it. ``fused`` and ``compiled`` add fused optimizers, torch.compile.
A learned degradation is left untrained, feature losses that need pretrained files are left out: neither changes the rest.
On one CPU thread the processor's time counts, so that other work does not. On a GPU, memory is what torch has allocated at
most after the warm-up; else what the process has held.
"""

import argparse
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import torch

from bench import plugins
from bench.api.model import Model
from bench.core.image import downsample, to_float, to_uint8
from bench.core.spec import parse, split
from bench.faces.faceset import Data, FaceSet
from bench.faces.procedural import portrait
from bench.faces.read import load
from bench.grid import resolve
from bench.grid.inference import for_training
from bench.grid.settings import Settings
from bench.training.loop import fit
from bench.training.settings import TrainSettings

MODELS = (
    "high-to-low,low-to-high,degradation-gan,smooth-features[feature_loss=none],flow-field,selfsr,"
    "esrgan-jpeg-kernel[degradation=bicubic,feature_loss=none,init=none],srgan[content=mse],edsr,rdn,"
    "esrgan[feature_loss=none],cyclegan-sr,wavelet-srnet"
)


@dataclass(frozen=True)
class Setting:
    precision: str = "auto"  # bf16 on a GPU that has it
    plain: bool = False  # undo the models' memory formats
    fused: bool = False
    compile: bool = False


SETTINGS = {
    "plain": Setting("fp32", plain=True),
    "harness": Setting(),
    "fused": Setting(fused=True),
    "compiled": Setting(fused=True, compile=True),
}


@dataclass(frozen=True)
class Job:
    model: str
    setting: Setting
    device: str
    batch: int  # 0: the paper's
    warm: int  # steps before the clock starts
    steps: int
    threads: int
    hr: str | None
    lr: str | None


def faces(job: Job) -> Data:
    if job.hr:
        return load(job.hr, job.lr)
    images, _ = portrait.faces(64, 4)
    hr = torch.from_numpy(images)
    lr = to_uint8(downsample(to_float(hr), 4))
    names = [f"{i:03d}" for i in range(len(hr))]
    high, low = FaceSet.of(list(hr.numpy()), names), FaceSet.of(list(lr.numpy()), names)
    return Data(high, high, low, low)


def memory(device: str) -> float:
    """The most that this process has held, MiB: on the GPU, or at all."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def measure(job: Job) -> list[tuple[str, int, float, float, str]]:
    """Of each stage: name, batch size, seconds a step, peak MiB, the precision that was used."""
    torch.set_num_threads(job.threads)
    clock = time.process_time if job.device == "cpu" and job.threads == 1 else time.perf_counter
    data, found = faces(job), []
    kind = next(k for k in ("methods", "degradations") if parse(job.model).name in plugins.names(k))
    recipe = resolve.recipe(
        kind, parse(job.model), Settings(preset="paper", device=job.device, hr=job.hr, lr=job.lr), data
    )

    def build() -> Model:
        model = for_training(recipe, None)
        if job.setting.plain:
            model = model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        stages = model.stages

        def few() -> list:
            return [timed(stage) for stage in stages() if stage.steps]

        model.stages = few  # type: ignore[method-assign]
        return model

    def timed(stage):
        inner, begin, batch_size = stage.step, 0.0, job.batch or stage.batch_size

        def step(batch, run) -> None:
            nonlocal begin
            if run.step == job.warm:
                if job.device == "cuda":
                    torch.cuda.synchronize()
                    torch.cuda.reset_peak_memory_stats()
                begin = clock()
            inner(batch, run)
            if run.step == job.warm + job.steps - 1:
                if job.device == "cuda":
                    torch.cuda.synchronize()
                seconds = (clock() - begin) / job.steps
                precision = run.fabric._precision.precision
                found.append((stage.name, batch_size, seconds, memory(job.device), precision))

        for optimizer in stage.optimizers.values() if job.setting.fused else ():
            for group in optimizer.param_groups:
                group["fused"], group["foreach"] = True, False
        return replace(stage, step=step, steps=job.warm + job.steps, batch_size=batch_size)

    settings = TrainSettings(
        job.device, precision=job.setting.precision, compile=job.setting.compile, checkpoint_every=1_000_000
    )
    with tempfile.TemporaryDirectory() as folder:
        fit(build, data, settings, checkpoint=Path(folder) / "part.pt", quiet=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    cuda = torch.cuda.is_available()
    parser.add_argument("--device", default="cuda" if cuda else "cpu")
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--settings", default="", help=f"of {', '.join(SETTINGS)}; the first is what ratios refer to")
    parser.add_argument("--batch", type=int, default=0, help="faces a step; default: the paper's")
    parser.add_argument("--steps", type=int, default=0, help="timed steps of each stage; default: 20 on a GPU, else 2")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--hr", help="a folder of faces; default: 256 embedded ones")
    parser.add_argument("--lr", help="a folder of real LR faces")
    options = parser.parse_args()
    gpu = options.device == "cuda"
    names = split(options.settings or ("plain,harness,fused,compiled" if gpu else "plain,harness"))
    steps, warm = options.steps or (20 if gpu else 2), 10 if gpu else 1
    machine = torch.cuda.get_device_name() if gpu else f"{options.threads} CPU threads"
    print(f"torch {torch.__version__}, {machine}; {warm} steps of warm-up, {steps} timed")
    for model in split(options.models):
        plain: dict[str, float] = {}
        for name in names:
            job = Job(
                model,
                SETTINGS[name],
                options.device,
                options.batch,
                warm,
                steps,
                options.threads,
                options.hr,
                options.lr,
            )
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                for stage, batch, seconds, peak, precision in pool.submit(measure, job).result():
                    ratio = plain.setdefault(stage, seconds) / seconds
                    print(f"{model} {stage}, batch {batch}: {name} ({precision}) {1 / seconds:.3f} steps/s, "
                          f"{batch / seconds:.1f} faces/s, {peak:,.0f} MiB, {ratio:.2f}x", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
