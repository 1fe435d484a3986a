"""Quality without a reference, as networks predict it: NIMA, MUSIQ and TOPIQ by pyiqa, each on one local file."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch

import bench
from bench import weights
from bench.kit.offline import standing_in

from .mobilenet import SIDE, nima_tid2013


class _Network(bench.Metric):
    """A network of pyiqa's; a subclass says which file and how it is built, empty and without a download."""

    direction = "higher"
    by_face = True
    libraries: ClassVar[tuple[str, ...]] = ("pyiqa",)
    scores: ClassVar[dict[str, int]] = {}  # how many a network predicts, by training set
    how: ClassVar[str] = ""
    batch: ClassVar[int] = 16

    def empty(self, outputs: int) -> torch.nn.Module:
        """The network with ``outputs`` scores, its weights still to be filled."""
        raise NotImplementedError

    def protocol(self, outputs: bench.Outputs) -> str:
        (name,) = self.required_weights()
        return f"{self.how}, {name} (sha256 {weights.file_hash(name)}), by pyiqa"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        model = outputs.keep((type(self), self.params), lambda: self.load().to(outputs.device))
        return bench.per_face(model, outputs.sr, size=self.batch, device=outputs.device)

    def load(self) -> torch.nn.Module:
        (name,) = self.required_weights()
        saved: dict[str, Any] = weights.load(name)
        saved = saved.get("params", saved)
        model = self.empty(self.scores[self.params.data])
        model.load_state_dict({key.removeprefix("module."): value for key, value in saved.items()})
        return model.eval().requires_grad_(False)


class Nima(_Network):
    """Neural image assessment: the mean of a predicted distribution of scores (Talebi 2018).

    ``data=tid2013`` is the technical model of idealo's MobileNet, 1 to 10, which Aakerberg (2021) reports; the others are
    pyiqa's Inception-ResNet-v2.
    """

    libraries = ("pyiqa",)
    title = "NIMA"
    pretrained = {
        "nima-ava": "data=ava",
        "nima-koniq": "data=koniq",
        "nima-spaq": "data=spaq",
        "nima-tid2013": "data=tid2013",
    }
    paper = "Talebi, Milanfar: NIMA: Neural image assessment, TIP 2018"
    scores = {"ava": 10, "koniq": 1, "spaq": 1}
    how = "NIMA, Inception-ResNet-v2, short side to 299 px, centre crop"

    @dataclass(frozen=True)
    class Params:
        data: Literal["ava", "koniq", "spaq", "tid2013"] = (
            "ava"  # aesthetic (AVA, 1-10) or technical quality, see above
        )

    def protocol(self, outputs: bench.Outputs) -> str:
        if self.params.data != "tid2013":
            return super().protocol(outputs)
        file = f"nima-tid2013 (sha256 {weights.file_hash('nima-tid2013')})"
        return f"NIMA, MobileNet of idealo on TID2013, 1-10, the whole crop to {SIDE} px by nearest neighbours, {file}"

    def load(self) -> torch.nn.Module:
        return nima_tid2013(weights.path("nima-tid2013")) if self.params.data == "tid2013" else super().load()

    def empty(self, outputs: int) -> torch.nn.Module:
        from pyiqa.archs import nima_arch

        create = nima_arch.timm.create_model

        def untrained(model: str, **options: object) -> object:
            return create(model, **{**options, "pretrained": False})

        # pyiqa asks timm for a pretrained backbone, which the file then overwrites.
        with standing_in(nima_arch.timm, "create_model", untrained):
            return nima_arch.NIMA("inception_resnet_v2", num_classes=outputs, pretrained=False)


class Musiq(_Network):
    """Multi-scale image quality transformer (Ke 2021): patches of the face itself, at 224 and at 384 px."""

    libraries = ("pyiqa",)
    title = "MUSIQ"
    pretrained = {"musiq-koniq": "data=koniq", "musiq-ava": "data=ava", "musiq-spaq": "data=spaq"}
    default = False
    paper = "Ke et al.: MUSIQ: Multi-scale image quality transformer, ICCV 2021"
    scores = {"koniq": 1, "ava": 10, "spaq": 1}
    how = "MUSIQ, own size and long side to 224 and 384 px"

    @dataclass(frozen=True)
    class Params:
        data: Literal["koniq", "ava", "spaq"] = (
            "koniq"  # technical (KonIQ, SPAQ, 0-100) or aesthetic quality (AVA, 1-10)
        )

    def empty(self, outputs: int) -> torch.nn.Module:
        from pyiqa.archs.musiq_arch import MUSIQ

        return MUSIQ(num_class=outputs, pretrained=False)


class TopiqFace(_Network):
    """TOPIQ (Chen 2024) trained on faces. The crop is taken as the face: no detector, hence no second download."""

    libraries = ("pyiqa",)
    title = "TOPIQ-face"
    pretrained = {"topiq-face": "data=cgfiqa", "topiq-gfiqa": "data=gfiqa"}
    default = False
    paper = (
        "Chen et al.: TOPIQ: A top-down approach from semantics to distortions for image quality assessment, TIP 2024"
    )
    scores = {"cgfiqa": 1, "gfiqa": 1}
    how = "TOPIQ, ResNet-50, the whole crop to 512 px without detection or alignment"
    batch = 8

    @dataclass(frozen=True)
    class Params:
        data: Literal["cgfiqa", "gfiqa"] = "cgfiqa"  # faces that it was trained on; the score is about 0-1

    def empty(self, outputs: int) -> torch.nn.Module:
        from pyiqa.archs.topiq_arch import CFANet

        # pyiqa adds its detector (three downloads) to networks with gfiqa in their name; the default name has none.
        return CFANet(
            "resnet50", backbone_pretrain=False, use_ref=False, num_class=outputs, pretrained=False, test_img_size=512
        )
