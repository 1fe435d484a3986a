"""What plugin authors subclass, are given and may call. Everything here is public."""

from bench.api.metric import Images, Metric, Outputs, Picture, Score, batches, per_face
from bench.api.model import Degradation, Inputs, Method, Model
from bench.api.reference import Reference
from bench.api.training import Augment, Batch, Partner, Stage, Step, View
from bench.core.colour import luma
from bench.core.image import downsample, read_image, resize, to_float, to_uint8, upsample, write_image
from bench.core.spec import File
from bench.errors import BenchError, TrainingFailed, Unavailable, UsageError

__all__ = [
    "Augment",
    "Batch",
    "BenchError",
    "Degradation",
    "File",
    "Images",
    "Inputs",
    "Method",
    "Metric",
    "Model",
    "Outputs",
    "Partner",
    "Picture",
    "Reference",
    "Score",
    "Stage",
    "Step",
    "TrainingFailed",
    "Unavailable",
    "UsageError",
    "View",
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
