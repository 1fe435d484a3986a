"""Smooth features: features that stay put when the LR degrades (Goswami 2020, section 3.4)."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from geomloss import SamplesLoss
from torch import Tensor

import bench
from bench.core.image import downsample
from bench.errors import UsageError
from bench.kit.blocks import to_signed, to_unit
from bench.kit.critics import SRGANCritic
from bench.kit.features import FeatureLoss
from bench.kit.losses import critic_score, gradient_penalty, wasserstein_critic

from .smooth_features_nets import FeatureExtractor, SuperResolver, cloud, start_as_bicubic

# Layers of VGG that make the features: of VGG16 up to relu3_3 (Johnson 2016; section 3.4 says "a subset"), of VGG19 up to
# conv3_1 (released code).
VGG_LAYERS = {"vgg16": 16, "vgg19": 11}


class SmoothFeatures(bench.Method):
    """A feature extractor f and a super-resolution module g, trained on LR between clean and degraded.

    Each step has two back-propagations. The first moves f and g (eq. 11): L1, VGG features, WGAN-GP critic on
    g(f(x_in)), x_in = alpha * clean + (1 - alpha) * degraded (eq. 3). The second moves f alone (eq. 16): Sinkhorn
    divergences of f(clean) and f(degraded) from f(x_in), computed anew, one cloud of points an image.
    ``feature_loss=none`` trains without pretrained weights, and so does the quick preset. Losses
    are in [-1, 1], VGG's in [0, 1].
    """

    libraries = ("geomloss", "lpips", "torchvision")
    pretrained = {"vgg16": "feature_loss=vgg16", "vgg19": "feature_loss=vgg19"}
    paper = "Goswami, Aakanksha, Rajagopalan: Robust super-resolution of real faces using smooth features, ECCV Workshops 2020"
    scales = (4, 2, 8)
    bounds = {"pairs": (0, None), "alpha": (0, 1), "clean_weight": (0, None), "degraded_weight": (0, None),
              "epsilon": (1e-06, None), "power": (1, 2), "scaling": (0.01, 0.99), "points": (2, None),
              "robust_start": (0, None), "beta2": (0, 0.9999), "decay": (0, 1)}  # fmt: skip
    default_degradation = "degradation-gan"

    @dataclass(frozen=True)
    class Params:
        width: int = 64  # channels of f and g (figs. 2 and 3)
        pairs: int = 5  # RCA and RCABP pairs of a dense block (released code)
        critic_width: int = 64  # channels of the critic's first layer (SRGAN)
        start: Literal["random", "bicubic"] = "random"  # weights; bicubic interpolation shortens training, width >= 48
        alpha: float = 0.3  # share of the clean LR in x_in, 0 to 1 (section 3.2)
        pixel: float = 1.0  # lambda_p (section 4.1)
        feature: float = 0.5  # lambda_f (section 4.1)
        feature_loss: Literal["vgg16", "vgg19", "none"] = "vgg16"  # whose features (section 3.4); none needs no weights
        adversarial: float = 0.05  # lambda_adv (section 4.1)
        penalty: float = 10.0  # lambda of the gradient penalty (Gulrajani 2017; released code)
        robust: bool = True  # the second back-propagation
        clean_weight: float = 0.3  # lambda_c (section 4.1)
        degraded_weight: float = 0.7  # lambda_d (section 4.1)
        epsilon: float = (
            0.05  # blur of the Sinkhorn divergence, in units of the features; not stated: geomloss's default
        )
        power: int = 2  # p of its cost |x - y|^p / p, 1 or 2; not stated: geomloss's default
        scaling: float = 0.5  # ratio of successive blurs, 0 to 1: higher is slower and more exact (geomloss's default)
        points: int = 16  # most points of a cloud: all positions of a 16x16 LR's features (section 3.4)
        detach_anchor: bool = False  # whether the second back-propagation leaves f(x_in) out (released code)
        robust_lr: float = 1e-4  # of the second back-propagation's own Adam (section 4.1)
        robust_start: int = 0  # steps before the second back-propagation sets in, at most half of all
        lr: float = 1e-4  # Adam of f and g (section 4.1)
        critic_lr: float = 4e-4  # of the critic (section 4.1)
        beta2: float = 0.9  # every Adam has beta = (0, beta2) (section 4.1)
        decay: float = 0.5  # factor of all learning rates ... (section 4.1)
        decay_every: int = 10_000  # ... after so many steps (section 4.1)
        critic_updates: int = 5  # for each step (section 4.1)
        batch: int = 64  # not stated in the paper
        steps: int = 100_000  # not stated; the learning rate is down to 1/1024 by then

    variants = {
        "paper": {},
        "detach-anchor": {"detach_anchor": True},
        "no-robust": {"robust": False},
        # The released code: 182,866 faces in batches of 13, one step in five, are 2,813 steps an epoch; the second loss
        # sets in after one, and the learning rates fall every second. The weights of pixels and features are swapped.
        "released": {"batch": 13, "beta2": 0.5, "robust_lr": 1e-6, "robust_start": 2813, "detach_anchor": True,
                     "decay": 0.2, "decay_every": 5626, "feature_loss": "vgg19", "pixel": 0.5, "feature": 1.0},
    }  # fmt: skip
    # Small and short for the quick preset: three quarters of the width and one pair, started as interpolation, since 100
    # steps make no image; no VGG features; a tenth of the critic's weight; rates that fall as fast as training is short.
    quick = {"width": 48, "pairs": 1, "critic_width": 4, "start": "bicubic", "feature_loss": "none", "adversarial": 0.005,
             "critic_updates": 1, "batch": 4, "steps": 100, "robust_start": 50, "lr": 1e-3, "critic_lr": 1e-3,
             "decay_every": 25}  # fmt: skip

    lengths = ("steps", "robust_start", "decay_every")

    @classmethod
    def fingerprint(cls, params: Any, scale: int) -> str:
        """Nothing beside code and parameters; refuses those that do not fit."""
        if params.start == "bicubic" and params.width < 48:
            raise UsageError(f"smooth-features: start=bicubic needs a width of 48 or more, not {params.width}")
        return ""

    def build(self) -> None:
        p = self.params
        self.f = FeatureExtractor(p.width)
        self.g = SuperResolver(p.width, p.pairs, self.scale)
        if p.start == "bicubic":
            start_as_bicubic(self.f, self.g)
        self.critic = SRGANCritic(self.hr_size, p.critic_width)
        self.feature_loss: FeatureLoss | None = None

    def features(self, lr: Tensor) -> Tensor:
        """f's output: (B, 3, h, w) in [0, 1] -> (B, width, h/4, w/4)."""
        return self.f(to_signed(lr))

    def restore(self, lr: Tensor) -> Tensor:
        """g(f(lr)) in [-1, 1], not clamped (eq. 4)."""
        height, width = (side * self.scale for side in lr.shape[-2:])
        return self.g(self.features(lr))[..., :height, :width]

    def infer(self, lr: Tensor) -> Tensor:
        return to_unit(self.restore(lr))

    def inputs(self, hr: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Clean, degraded and mixed LR (eqs. 1 to 3), (B, 3, h, w) in [0, 1], by any degradation."""
        clean = downsample(hr, self.scale).clamp(0, 1)
        degraded = self.degrade(hr)
        return clean, degraded, torch.lerp(degraded, clean, self.params.alpha)

    def critic_loss(self, hr: Tensor, fake: Tensor, run: bench.Step) -> Tensor:
        """Eq. 15, for faces ``hr`` in [0, 1] and restored ones ``fake`` in [-1, 1]."""
        real, fake = to_signed(hr), fake.detach()
        with run.fp32():
            penalty = gradient_penalty(self.critic, real.float(), fake.float())
        return wasserstein_critic(self.critic(real), self.critic(fake)) + self.params.penalty * penalty

    def sr_loss(self, hr: Tensor, fake: Tensor, run: bench.Step) -> Tensor:
        """Eq. 11, for f and g."""
        p = self.params
        pixel, adversarial = F.l1_loss(fake, to_signed(hr)), critic_score(self.critic(fake))  # eqs. 12 and 14
        run.log(pixel=pixel, adversarial=adversarial)
        loss = p.pixel * pixel + p.adversarial * adversarial
        if self.feature_loss:
            feature = self.feature_loss((fake + 1) / 2, hr)
            run.log(feature=feature)
            loss = loss + p.feature * feature
        return loss

    def sinkhorn(self, a: Tensor, b: Tensor) -> Tensor:
        """Debiased Sinkhorn divergence of clouds (B, N, D), the mean over images; entropy epsilon ** power."""
        p = self.params
        return SamplesLoss("sinkhorn", p=p.power, blur=p.epsilon, scaling=p.scaling)(a, b).mean()

    def robust_loss(self, clean: Tensor, degraded: Tensor, mixed: Tensor, run: bench.Step) -> Tensor:
        """Eq. 16, for f alone."""
        p = self.params
        h_c, h_d, h_in = (cloud(self.features(x), p.points) for x in (clean, degraded, mixed))  # eq. 5
        if p.detach_anchor:
            h_in = h_in.detach()
        with run.fp32():
            l_c, l_d = self.sinkhorn(h_c, h_in), self.sinkhorn(h_d, h_in)  # eq. 10
        run.log(sinkhorn_clean=l_c, sinkhorn_degraded=l_d)
        return p.clean_weight * l_c + p.degraded_weight * l_d

    def stages(self) -> list[bench.Stage]:
        p = self.params
        if p.feature_loss != "none":
            self.feature_loss = FeatureLoss(p.feature_loss, VGG_LAYERS[p.feature_loss], next(self.parameters()).device)
        start = min(p.robust_start, p.steps // 2) if p.robust else p.steps

        def adam(lr: float, *modules: torch.nn.Module) -> torch.optim.Optimizer:
            return torch.optim.Adam([q for m in modules for q in m.parameters()], lr, (0.0, p.beta2), fused=True)

        def decay(optimizer: torch.optim.Optimizer, done: int = 0) -> torch.optim.lr_scheduler.LambdaLR:
            return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: p.decay ** ((n + done) // p.decay_every))

        first = {"net": adam(p.lr, self.f, self.g), "critic": adam(p.critic_lr, self.critic)}
        falling = {name: decay(optimizer) for name, optimizer in first.items()}
        stages = []
        given: dict[str, Any] = {"batch_size": p.batch, "augment": bench.Augment(flip=False)}  # the paper names none
        if start:
            stages.append(bench.Stage("sr", start, self.step, first, falling, **given))
        if p.robust:
            both = first | {"features": adam(p.robust_lr, self.f)}
            falling = falling | {"features": decay(both["features"], start)}
            stages.append(bench.Stage("robust", p.steps - start, self.robust_step, both, falling, **given))
        return stages

    def step(self, batch: bench.Batch, run: bench.Step) -> tuple[Tensor, Tensor, Tensor]:
        """The critic's updates, then the first back-propagation on the last of their batches; returns its three LR."""
        for _ in range(self.params.critic_updates - 1):
            hr = run.draw().hr
            with torch.no_grad():
                fake = self.restore(self.inputs(hr)[2])
            run.minimize(self.critic_loss(hr, fake, run), "critic")
        clean, degraded, mixed = self.inputs(batch.hr)
        fake = self.restore(mixed)
        run.minimize(self.critic_loss(batch.hr, fake, run), "critic")
        run.minimize(self.sr_loss(batch.hr, fake, run), "net")
        run.images(mixed=mixed, sr=to_unit(fake.detach()), hr=batch.hr)
        return clean, degraded, mixed

    def robust_step(self, batch: bench.Batch, run: bench.Step) -> None:
        """``step``, then the second back-propagation, through f as the first has left it."""
        run.minimize(self.robust_loss(*self.step(batch, run), run), "features")
