"""What plugin authors subclass, are given and may call. Everything here is public."""

from bench.api.metric import Images, Metric, Outputs, Picture, Score, batches, per_face
from bench.api.model import Degradation, Method, Model
from bench.api.reference import Reference
from bench.api.training import Augment, Batch, Stage, Step
from bench.core.colour import luma
from bench.core.image import downsample, read_image, resize, to_float, to_uint8, upsample, write_image
from bench.errors import BenchError, TrainingFailed, Unavailable, UsageError

__all__ = [
    "Augment",
    "Batch",
    "BenchError",
    "Degradation",
    "Images",
    "Method",
    "Metric",
    "Model",
    "Outputs",
    "Picture",
    "Reference",
    "Score",
    "Stage",
    "Step",
    "TrainingFailed",
    "Unavailable",
    "UsageError",
    "batches",
    "downsample",
    "luma",
    "per_face",
    "read_image",
    "resize",
    "to_float",
    "to_uint8",
    "upsample",
    "write_image",
]
