"""What plugin authors subclass, are given and may call. Everything here is public."""

from bench.api.metric import Images, Metric, Outputs, Picture, Score, batches, per_face
from bench.api.model import Degradation, Inputs, Method, Model
from bench.api.reference import Reference
from bench.api.training import Augment, Batch, Partner, Stage, Step, View
from bench.core.colour import luma
from bench.core.image import downsample, read_image, resize, to_float, to_uint8, upsample, write_image
from bench.core.results import read_table
from bench.core.spec import File
from bench.errors import BenchError, MissingWeights, TrainingFailed, Unavailable, UsageError
from bench.faces.faceset import Data, FaceSet
from bench.faces.images import extent, picked, shapes

__all__ = [
    "Augment",
    "Batch",
    "BenchError",
    "Data",
    "Degradation",
    "FaceSet",
    "File",
    "Images",
    "Inputs",
    "Method",
    "Metric",
    "MissingWeights",
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
    "extent",
    "luma",
    "per_face",
    "picked",
    "read_image",
    "read_table",
    "resize",
    "shapes",
    "to_float",
    "to_uint8",
    "upsample",
    "write_image",
]
