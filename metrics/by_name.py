"""Any of pyiqa's metrics by its name there, on local files: what `pyiqa.create_metric` gives, one face at a time."""

from dataclasses import dataclass

import torch
from torch import Tensor

import bench
from bench import weights
from bench.kit import iqa
from bench.weights.pyiqa import configuration


class Pyiqa(bench.Metric):
    """One of pyiqa's metrics of faces, with or without the ground truth: ``pyiqa[metric=maniqa]``, ``pyiqa[metric=vif]``.

    Direction and range are those of pyiqa's configuration, the files those that pyiqa asks for while it builds the network:
    ``bench weights fetch pyiqa:maniqa`` gets them. ``pyiqa.list_models()`` has the names. What measures sets (FID) is
    here under its own name. Random crops are drawn with the run's seed, the same for each face.
    """

    title = "pyiqa"
    libraries = ("pyiqa",)
    default = False
    in_all = False
    direction = "lower"  # better; of a metric by name what pyiqa says
    decimals = 4
    paper = "Chen, Mo: IQA-PyTorch, 2022"

    @dataclass(frozen=True)
    class Params:
        metric: str = ""  # a name of pyiqa.list_models()

    def __init__(self, params: object = None) -> None:
        super().__init__(params)
        if self.params.metric:
            said = configuration(self.params.metric)
            vars(self).update(
                needs=("hr",) if said["metric_mode"] == "FR" else (),
                direction="lower" if said.get("lower_better") else "higher",
            )

    def required_weights(self) -> tuple[str, ...]:
        return iqa.files_of(self.params.metric) if self.params.metric else ()

    def protocol(self, outputs: bench.Outputs) -> str:
        name = self.params.metric
        files = "".join(f", {n.partition(':')[2]} (sha256 {weights.file_hash(n)})" for n in self.required_weights())
        said = configuration(name)
        against = "against the HR" if self.needs else "without a reference"
        return (
            f"{name} {against}, range {said['score_range']}{files}, one face at a time, seed {outputs.seed}, by pyiqa"
        )

    def score(self, outputs: bench.Outputs) -> bench.Score:
        name = self.params.metric
        model = outputs.keep(("pyiqa", name), lambda: iqa.create(name, outputs.device))

        refused: list[str] = []

        def measure(*images: Tensor) -> Tensor:
            with iqa.no_network(), torch.random.fork_rng(enabled=True):
                torch.manual_seed(outputs.seed)
                try:
                    found = model(*images)
                except torch.OutOfMemoryError:
                    raise
                except (
                    AssertionError,
                    RuntimeError,
                    ValueError,
                    IndexError,
                ) as error:  # too small, or nothing is in it
                    refused.append(str(error).strip().partition("\n")[0])
                    return images[0].new_full((1,), float("nan"))
            if not isinstance(found, Tensor) or found.numel() != 1:
                raise bench.Unavailable(f"pyiqa's {name} gives no single value for a face")
            return found.flatten()

        pair = [outputs.hr] if self.needs and outputs.hr is not None else []
        try:
            return bench.per_face(measure, outputs.sr, *pair, size=1, device=outputs.device)
        except bench.Unavailable as error:
            raise bench.Unavailable(f"{error} ({refused[0]})" if refused and refused[0] else str(error)) from None
