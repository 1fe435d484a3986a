"""Deliberate errors, each with the test that must notice it: ``python tests/mutants.py [PART] [--list]``, by hand and weekly.

Each error is a small change of text, made in a copy of the project, on which the test is run. Those that no test notices
are listed, and the exit code is 1 where they are more than one in twenty. PART: only errors whose file, text or test
holds it.
"""

# ruff: noqa: E501

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
SHARE = 0.95  # of the errors have to be noticed
DS, MS = "tests/degradations/test_degradation_steps.py", "tests/methods/test_method_steps.py"
NETS = "tests/methods/test_networks.py"
JK, KG, NP = (f"tests/degradations/test_{n}.py" for n in ("jpeg_kernel", "kernelgan", "noise_pool"))
BATCHES, LOOP, PRESETS = "tests/training/test_batches.py", "tests/training/test_loop.py", "tests/grid/test_presets.py"
H2L, DGAN, FLOW, FLOW_NETS = (
    f"degradations/{n}.py" for n in ("high_to_low", "degradation_gan", "flow_field", "flow_field_nets")
)
L2H, SMOOTH, SELFSR, ESRGAN = (
    f"methods/{n}.py" for n in ("low_to_high", "smooth_features", "selfsr", "esrgan_jpeg_kernel")
)
SRGAN, EDSR, RDN, BICUBIC_ESRGAN, CYCLEGAN_SR, WAVELET, WAVELET_NETS, PATCHWISE, RRDB_GAN = (
    f"methods/{n}.py"
    for n in (
        "srgan",
        "edsr",
        "rdn",
        "esrgan",
        "cyclegan_sr",
        "wavelet_srnet",
        "wavelet_srnet_nets",
        "patchwise",
        "esrgan_training",
    )
)
CS, CN, CL = (f"tests/methods/test_compared_{n}.py" for n in ("steps", "nets", "layers"))
ESRGAN_NETS, CHECKPOINTS = "methods/esrgan_nets.py", "methods/checkpoints.py"
ENLARGING, PATCHES, FEATURES, CRITICS, SCHEDULES = (
    f"bench/kit/{n}.py" for n in ("enlarging", "patches", "features", "critics", "schedules")
)
JPEGK, KERNELS, POOL = (f"degradations/{n}.py" for n in ("jpeg_kernel", "kernels", "noise_pool"))
CYCLE, LOSSES, BLOCKS = (f"bench/kit/{n}.py" for n in ("cyclegan", "losses", "blocks"))
DOWNLOADS, WEIGHTS = (f"tests/weights/test_{n}.py" for n in ("downloads", "weights"))
DOWNLOAD, FETCH, FILES = (f"bench/weights/{n}.py" for n in ("download", "fetch", "files"))
STEP, LOOP_PY, SAMPLER, AUGMENT = (f"bench/training/{n}.py" for n in ("step", "loop", "sampler", "augment"))


class Error(NamedTuple):
    file: str
    right: str  # text that stands in the file exactly once
    wrong: str
    test: str  # a test's file, or its file and name


ERRORS = [
    # ---- High-to-Low and Low-to-High
    Error(H2L, "return hinge_critic(self.critic(real), self.critic(fake))", "return hinge_critic(self.critic(fake), self.critic(real))", f"{DS}::test_high_to_low_trains_as_bulat_says"),
    Error(H2L, "z = normal(len(hr), self", "z = normal(1, self.params.noise, device=hr.device, generator=generator).expand(len(hr), -1)\n        _ = normal(len(hr), self", f"{DS}::test_high_to_low_trains_as_bulat_says"),
    Error(H2L, "real = to_signed(batch.lr_real)", "real = batch.lr_real", f"{DS}::test_high_to_low_trains_as_bulat_says"),
    Error(H2L, "self.params.alpha * pixel + self.params.beta * adversarial", "self.params.alpha * pixel - self.params.beta * adversarial", f"{DS}::test_high_to_low_trains_as_bulat_says"),
    Error(H2L, "self.params.alpha * pixel + self", "0 * pixel + self", f"{DS}::test_high_to_low_trains_as_bulat_says"),
    Error(H2L, "F.avg_pool2d(to_signed(hr), self.scale)", "to_signed(hr)[..., :: self.scale, :: self.scale]", f"{DS}::test_high_to_low_trains_as_bulat_says"),
    Error(H2L, "fresh = run.draw() if index else batch", "fresh = batch", f"{DS}::test_high_to_low_trains_as_bulat_says"),
    Error(H2L, "for index in range(self.params.critic_updates)", "for index in range(1)", f"{DS}::test_high_to_low_trains_as_bulat_says"),
    Error(H2L, '"net": torch.optim.Adam(self.net.parameters(), p.lr, (0.0, 0.9))', '"net": torch.optim.Adam(self.net.parameters(), p.lr)', f"{DS}::test_optimizers_rates_and_schedules"),
    Error(H2L, "self.params.penalty * penalty", "-self.params.penalty * penalty", f"{DS}::test_high_to_low_with_wgan_gp"),
    Error(H2L, "batch_size=p.batch, augment=p.augment)", "batch_size=p.batch)", f"{DS}::test_optimizers_rates_and_schedules"),
    Error(H2L, "return (fake + 1) / 2, self", "return (fake.detach() + 1) / 2, self", f"{MS}::test_the_joint_stage_trains_both_networks_by_both_losses"),
    Error(H2L, 'average=p.critic_pool == "mean"', 'average=p.critic_pool == "sum"', f"{DS}::test_the_critics_pooling_is_a_parameter"),
    Error("degradations/high_to_low_nets.py", "layers += [PostBlock(width) for _ in range(3 if index else 12)]", "layers += [PostBlock(width) for _ in range(12 if index else 3)]", f"{DS}::test_the_released_high_to_low_halves_by_strides_and_begins_at_full_size"),
    Error(L2H, "fake = self.net(to_signed(self.degrade(hr)))", "fake = self.net(to_signed(self.degrade(batch.hr)))", f"{MS}::test_low_to_high_trains_as_bulat_says"),
    Error(L2H, "lr = self.degrade(batch.hr)", "lr = F.avg_pool2d(batch.hr, self.scale)", f"{MS}::test_low_to_high_trains_as_bulat_says"),
    Error(L2H, "pixel = F.mse_loss(fake, to_signed(hr))", "pixel = F.l1_loss(fake, to_signed(hr))", f"{MS}::test_low_to_high_trains_as_bulat_says"),
    Error(L2H, "loss = loss + self.params.beta * adversarial", "loss = loss + 0 * adversarial", f"{MS}::test_low_to_high_trains_as_bulat_says"),
    Error(L2H, "self.net(to_signed(lr)), run) + own", "self.net(to_signed(lr.detach())), run) + own", f"{MS}::test_the_joint_stage_trains_both_networks_by_both_losses"),
    Error(L2H, "self.net(to_signed(lr)), run) + own", "self.net(to_signed(lr)), run)", f"{MS}::test_the_joint_stage_trains_both_networks_by_both_losses"),
    Error(L2H, 'run.minimize(low.critic_loss(fresh, run), "low_critic")', 'run.minimize(-low.critic_loss(fresh, run), "low_critic")', "tests/methods/test_method_steps.py::test_the_joint_stage_trains_both_networks_by_both_losses"),
    Error(L2H, '"wgan-gp": {"gan": "wgan-gp", "degradation": "high-to-low[variant=wgan-gp]"}', '"wgan-gp": {"gan": "wgan-gp"}', f"{PRESETS}::test_wgan_gp_is_of_both_networks"),
    Error(L2H, '"pixel-only": {"beta": 0.0}', '"pixel-only": {"beta": 0.05}', f"{MS}::test_variants_hold_what_they_are_named_after"),
    Error(L2H, "together, schedulers, joint=True", "together, schedulers, joint=False", f"{MS}::test_the_joint_stage_trains_both_networks_by_both_losses"),
    Error(BLOCKS, "return self.linear(features.mean((2, 3)) if self.average else features.sum((2, 3)))", "return self.linear(features.mean((2, 3)))", f"{DS}::test_the_critics_pooling_is_a_parameter"),
    # ---- Goswami
    Error(DGAN, "z = torch.randn(len(clean), self", "z = torch.zeros(len(clean), self.params.noise, device=clean.device)\n        _ = torch.randn(len(clean), self", f"{DS}::test_degradation_gan_trains_as_goswami_says"),
    Error(DGAN, "return self.params.wgan * adversarial + self.params.mse * pixel", "return self.params.mse * adversarial + self.params.wgan * pixel", f"{DS}::test_degradation_gan_trains_as_goswami_says"),
    Error(DGAN, "real = to_signed(batch.lr_real)", "real = to_signed(self.clean(batch.hr))", f"{DS}::test_degradation_gan_trains_as_goswami_says"),
    Error(DGAN, "range(self.params.critic_updates - 1)", "range(self.params.critic_updates)", f"{DS}::test_degradation_gan_trains_as_goswami_says"),
    Error(DGAN, "torch.optim.Adam(self.critic.parameters(), p.critic_lr, p.betas", "torch.optim.Adam(self.critic.parameters(), p.lr, p.betas", f"{DS}::test_optimizers_rates_and_schedules"),
    Error(DGAN, "augment=plain)", "augment=bench.Augment())", f"{DS}::test_optimizers_rates_and_schedules"),
    Error(DGAN, "StepLR(o, p.decay_every, p.decay)", "StepLR(o, p.decay_every, 1.0)", f"{DS}::test_optimizers_rates_and_schedules"),
    Error(SMOOTH, "torch.lerp(degraded, clean, self.params.alpha)", "torch.lerp(clean, degraded, self.params.alpha)", f"{MS}::test_smooth_features_train_as_goswami_says"),
    Error(SMOOTH, "loss = loss + p.feature * feature", "loss = loss + 0 * feature", f"{MS}::test_the_feature_loss_counts_half_and_sees_faces_in_0_to_1"),
    Error(SMOOTH, "self.feature_loss((fake + 1) / 2, hr)", "self.feature_loss(fake, hr)", f"{MS}::test_the_feature_loss_counts_half_and_sees_faces_in_0_to_1"),
    Error(SMOOTH, "return p.clean_weight * l_c + p.degraded_weight * l_d", "return p.degraded_weight * l_c + p.clean_weight * l_d", f"{MS}::test_smooth_features_train_as_goswami_says"),
    Error(SMOOTH, "adam(p.robust_lr, self.f)", "adam(p.robust_lr, self.f, self.g)", f"{MS}::test_optimizers_rates_and_schedules"),
    Error(SMOOTH, "loss = p.pixel * pixel + p.adversarial * adversarial", "loss = p.pixel * pixel - p.adversarial * adversarial", f"{MS}::test_smooth_features_train_as_goswami_says"),
    Error(SMOOTH, '"net": adam(p.lr, self.f, self.g)', '"net": adam(p.lr, self.g)', f"{MS}::test_smooth_features_train_as_goswami_says"),
    Error(SMOOTH, '"augment": bench.Augment(flip=False)', '"augment": bench.Augment()', f"{MS}::test_optimizers_rates_and_schedules"),
    Error(SMOOTH, "lambda n: p.decay ** ((n + done) // p.decay_every)", "lambda n: 1.0", f"{MS}::test_optimizers_rates_and_schedules"),
    Error(SMOOTH, "            h_in = h_in.detach()", "            h_in = h_in + 0", "tests/methods/test_smooth_features.py::test_the_anchor_has_a_gradient_unless_it_is_detached"),
    # ---- SelfSR
    Error(FLOW_NETS, "torch.arange(width, device=flow.device) - flow[:, 0]", "torch.arange(width, device=flow.device) + flow[:, 0]", "tests/methods/test_selfsr.py::test_the_warp_is_equation_1_pixel_by_pixel"),
    Error(FLOW_NETS, "flow.diff(dim=3).abs().mean() + flow.diff(dim=2).abs().mean()", "flow.diff(dim=3).abs().mean()", f"{DS}::test_flow_field_trains_as_zeng_says"),
    Error(FLOW, "identity, smooth = F.l1_loss(image, clean)", "identity, smooth = F.l1_loss(fake, clean)", f"{DS}::test_flow_field_trains_as_zeng_says"),
    Error(FLOW, "self.critic(real), self.critic(fake.detach())), \"critic\")", "self.critic(fake.detach()), self.critic(real)), \"critic\")", f"{DS}::test_flow_field_trains_as_zeng_says"),
    Error(FLOW, "schedulers = falling(optimizers, p.steps, 0.5)", "schedulers = falling(optimizers, p.steps, 0.0)", f"{DS}::test_optimizers_rates_and_schedules"),
    Error(FLOW, "self.critic(self.history(fake))", "self.critic(fake.detach())", f"{DS}::test_cycle_trains_as_cyclegan"),
    Error(FLOW, "else (0.5, 0.999)", "else (0.9, 0.99)", f"{DS}::test_optimizers_rates_and_schedules"),
    Error(FLOW, '"cycle": {"adaptation": "cycle", "identity": 0.0}', '"cycle": {"adaptation": "cycle"}', f"{DS}::test_variants_hold_what_they_are_named_after"),
    Error(FLOW, "forth += self.back.parameters()", "pass", f"{DS}::test_cycle_trains_as_cyclegan"),
    Error(CYCLE, "return ((real - 1).square().mean() + fake.square().mean()) / 2", "return (real.square().mean() + (fake - 1).square().mean()) / 2", "tests/kit/test_cyclegan.py"),
    Error(CYCLE, '"identity": F.l1_loss(forth(b), b)', '"identity": F.l1_loss(to_b, a)', f"{DS}::test_cycle_trains_as_cyclegan"),
    Error(CYCLE, "elif swap < 0.5:", "elif swap < 0.0:", "tests/kit/test_cyclegan.py"),
    Error(CYCLE, 'self.images = state["images"]', "pass", "tests/kit/test_cyclegan.py"),
    Error(SELFSR, "loss = loss + p.r1_weight * p.r1 / 2 * penalty", "loss = loss + p.r1_weight * p.r1 * penalty", f"{MS}::test_selfsr_trains_as_zeng_says"),
    Error(SELFSR, "self.critic.forward(x, level, fade), real.float())", "self.critic.forward(x, level, fade), fake.float())", f"{MS}::test_selfsr_trains_as_zeng_says"),
    Error(SELFSR, "run.draw().hr if unpaired else batch.hr", "batch.hr", f"{MS}::test_selfsr_trains_as_zeng_says"),
    Error(SELFSR, "+ p.reconstruction * reconstruction", "+ reconstruction", f"{MS}::test_selfsr_trains_as_zeng_says"),
    Error(SELFSR, "share = run.progress / self.params.fade if", "share = run.progress if", f"{MS}::test_selfsr_trains_as_zeng_says"),
    Error(SELFSR, "module.parameters(), p.lr, (0.9, 0.99))", "module.parameters(), p.lr, (0.0, 0.99))", f"{MS}::test_optimizers_rates_and_schedules"),
    Error("methods/selfsr_nets.py", "condition = resize(lr, (", "condition = 0 * resize(lr, (", "tests/methods/test_selfsr.py"),
    # ---- Aakerberg
    Error(RRDB_GAN, "relativistic_average(self.critic(fake), real)", "relativistic_average(real, self.critic(fake))", f"{MS}::test_esrgan_trains_as_aakerberg_says"),
    Error(RRDB_GAN, "relativistic_average(self.critic(hr), self.critic(fake.detach()))", "relativistic_average(self.critic(fake.detach()), self.critic(hr))", f"{MS}::test_esrgan_trains_as_aakerberg_says"),
    Error(RRDB_GAN, "loss = loss + p.feature * feature", "loss = loss + feature", f"{MS}::test_esrgans_feature_loss_has_its_weight"),
    Error("bench/kit/schedules.py", "factor ** sum(step >= round(share * steps) for share in shares)", "1.0", f"{MS}::test_optimizers_rates_and_schedules"),
    Error(PATCHWISE, "bench.View(self.hr_size, whole=False)", "bench.View(self.hr_size)", f"{BATCHES}::test_plugins_say_what_they_see"),
    Error(JPEGK, "lr = lr + draw_noise(", "lr = lr + 0 * draw_noise(", f"{JK}::test_kernel_noise_and_gaussian_noise_are_added_as_equation_2_says"),
    Error(JPEGK, "compressed = to_float(jpeg(to_uint8(lr), p.jpeg))", "compressed = to_float(jpeg(to_uint8(downsample(hr, self.scale)), p.jpeg))", f"{JK}::test_the_order_is_blur_downsampling_noise_jpeg"),
    Error(JPEGK, "self.kernel[which.to(self.kernel.device)]", "self.kernel[which.to(self.kernel.device)].flip(1, 2)", f"{JK}::test_an_asymmetric_kernel_looks_the_way_it_is_written"),
    Error(JPEGK, "composed(centred(k, SIDE), self.scale)", "composed(centred(k.T, SIDE), self.scale)", f"{JK}::test_estimates_are_centred_and_the_right_way_round"),
    Error(JPEGK, "composed(centred(k, SIDE), self.scale)", "composed(np.pad(k, ((0, 1), (0, 1))), self.scale)", f"{JK}::test_estimates_are_centred_and_the_right_way_round"),
    Error(JPEGK, "which = torch.randint(len(self.kernel), (len(hr),)", "which = torch.randint(len(self.kernel), (1,)", f"{JK}::test_each_face_has_its_own_kernel_and_noise"),
    Error(JPEGK, "faces.subset(p.noise_images) if p.noise_images else faces", "faces", f"{JK}::test_pools_are_made_from_a_sample_and_the_report_says_so"),
    Error(JPEGK, "if len(places) < ENOUGH and p.loosen:", "if len(places) < ENOUGH:", f"{JK}::test_the_literal_variant_never_loosens"),
    Error(KERNELS, "before = kernels.shape[-1] // 2 - scale // 2", "before = kernels.shape[-1] // 2 - scale // 2 + 1", f"{JK}::test_an_asymmetric_kernel_looks_the_way_it_is_written"),
    Error(KERNELS, "centred(k, side, clip=False)", "centred(k, side)", f"{KG}::test_kernels_of_others_are_shifted_and_keep_their_negative_lobes"),
    Error(KERNELS, "spread[::now, ::now] = kernel", "spread[::now, ::now] = kernel[::-1, ::-1]", f"{KG}::test_an_asymmetric_kernel_composes_the_right_way_round"),
    Error(POOL, "return found - found.mean((2, 3), keepdim=True)", "return found", NP),
    Error(POOL, "accepted = variance >= phi", "accepted = variance >= 0", NP),
    Error("degradations/kernelgan.py", "lr = s.lr / 10 ** (t // s.lr_every)", "lr = s.lr", KG),
    Error("degradations/kernelgan.py", "self.constrained * (s.centring * off_centre + s.sparsity * sparsity)", "(s.centring * off_centre + s.sparsity * sparsity)", KG),
    Error("degradations/conditions.py", "noise * self.params.sigma / 255", "noise * self.params.sigma / 127.5", "tests/degradations/test_conditions.py"),
    Error("degradations/conditions.py", "downsample(hr, self.scale, edges=self.params.edges)", "downsample(hr, self.scale)", "tests/core/test_resize.py"),
    # ---- losses
    Error(LOSSES, "F.relu(1 - real).mean() + F.relu(1 + fake).mean()", "F.relu(1 + real).mean() + F.relu(1 - fake).mean()", "tests/kit/test_losses.py"),
    Error(LOSSES, "return fake.mean() - real.mean()", "return real.mean() - fake.mean()", "tests/kit/test_losses.py"),
    Error(LOSSES, "mix = torch.rand(real.shape[0], 1, 1, 1,", "mix = torch.rand(1, 1, 1, 1,", f"{DS}::test_degradation_gan_trains_as_goswami_says"),
    Error(LOSSES, "gradient.flatten(1).norm(dim=1) - 1", "gradient.flatten(1).norm(dim=1)", "tests/kit/test_losses.py"),
    Error("bench/kit/schedules.py", "min(1.0, (1 - step / steps) / share)", "1.0", f"{DS}::test_optimizers_rates_and_schedules"),
    # ---- the harness
    Error("bench/api/model.py", "with torch.no_grad(), torch.autocast(hr.device.type, enabled=False):", "with torch.no_grad():", f"{MS}::test_training_lr_is_test_lr"),
    Error("bench/api/model.py", "return to_float(to_uint8(self.degradation.infer(hr.float(), generator)))", "return self.degradation.infer(hr.float(), generator)", f"{MS}::test_training_lr_is_test_lr"),
    Error("bench/api/model.py", "degradation.requires_grad_(False).eval()", "degradation.eval()", f"{MS}::test_training_lr_is_test_lr"),
    Error("bench/core/image.py", "taps.minimum(2 * size - 1 - taps)", "taps.clamp(0, size - 1)", "tests/core/test_resize.py"),
    Error("bench/core/image.py", "shrink = max(1.0, size / target)", "shrink = 1.0", "tests/core/test_resize.py"),
    Error("bench/core/image.py", "    with torch.autocast(images.device.type, enabled=False):\n        images = images if", "    if True:\n        images = images if", "tests/core/test_resize.py"),
    Error(AUGMENT, "larger = _enlarged(to_float(faces))", "larger = to_float(faces)", f"{BATCHES}::test_augmentation_keeps_noise"),
    Error(AUGMENT, 'grid, "bicubic", padding', 'grid, "nearest", padding', f"{BATCHES}::test_augmentation_turns_and_zooms_about_the_centre"),
    Error(AUGMENT, "factor = torch.deg2rad(uniform(augment.rotate)), 1 / (1 + uniform(augment.zoom))", "factor = torch.deg2rad(uniform(augment.rotate)), 1 / (1 + uniform(augment.zoom) / 2)", f"{BATCHES}::test_augmentation_turns_and_zooms_about_the_centre"),
    Error(SAMPLER, "return replace(augment, zoom=0.0, rotate=0.0, jitter=0.0)", "return augment", f"{BATCHES}::test_real_lr_is_mirrored_at_most"),
    Error(SAMPLER, "if view.whole:", "if False:", f"{BATCHES}::test_whole_faces_are_resized_and_none_is_cropped"),
    Error(STEP, "self.fabric.backward(loss, inputs=parameters,", "self.fabric.backward(loss,", f"{LOOP}::test_each_loss_moves_its_own_parameters_at_the_schedules_rate"),
    Error(STEP, "optimizer.zero_grad(set_to_none=True)", "pass", f"{LOOP}::test_each_loss_moves_its_own_parameters_at_the_schedules_rate"),
    Error(STEP, "torch.nn.utils.clip_grad_norm_(parameters, self.stage.clip)", "pass", f"{LOOP}::test_gradients_are_clipped_to_a_norm"),
    Error(LOOP_PY, "                scheduler.step()", "                pass", f"{LOOP}::test_each_loss_moves_its_own_parameters_at_the_schedules_rate"),
    Error(LOOP_PY, "        self.averages.apply()", "        pass", f"{LOOP}::test_averages_are_exponential"),
    Error("bench/training/averages.py", "1 - decay)", "decay)", f"{LOOP}::test_averages_are_exponential"),
    Error(LOOP_PY, '**({"degradation": to_cpu', '**({"other": to_cpu', "tests/methods/test_any_pair.py::test_it_trains_through_every_stage[low-to-high-high-to-low]"),
    Error("bench/grid/resolve.py", "shortened = set(quick) & set", "shortened = set(quick) | set", f"{PRESETS}::test_a_preset_keeps_what_defines_a_variant"),
    Error("bench/grid/artefacts.py", "clean = recipe.scale != scale and model.degrade_clean is not None", "clean = False", "tests/grid/test_joint.py::test_a_degradation_that_knows_clean_lr_gets_it_and_others_the_enlarged_image"),
    Error("bench/grid/run.py", "tuned = self.artefacts.tuned()", "tuned = []", "tests/grid/test_joint.py"),
    Error(SAMPLER, "torch.tensor([float(len(b)) for b in self.buckets])", "torch.ones(len(self.buckets))", f"{BATCHES}::test_patches_are_drawn_from_each_face_alike"),
    Error(AUGMENT, "torch.stack([cos * sign, -sin, zero, sin * sign, cos, zero], 1)", "torch.stack([cos, -sin, zero, sin, cos, zero], 1)", f"{BATCHES}::test_faces_that_are_turned_are_mirrored_half_of_the_time"),
    Error("degradations/conditions.py", "torch.exp(-0.5 * (", "torch.exp(-1.0 * (", "tests/degradations/test_conditions.py::test_gaussian_blur_is_scipys"),
    Error(H2L, "return to_unit(self.generate(hr, generator))", "return self.generate(hr, generator)", f"{DS}::test_infer_is_the_network_in_its_range"),
    Error(H2L, "return self.net(to_signed(hr), z)", "return self.net(hr, z)", f"{DS}::test_infer_is_the_network_in_its_range"),
    Error(FLOW, "return to_unit(image if flow is None else warp(image, flow))", "return to_unit(image)", f"{DS}::test_infer_is_the_network_in_its_range"),
    Error(L2H, "return to_unit(self.net(to_signed(lr)))", "return to_unit(self.net(lr))", f"{MS}::test_infer_is_the_network_in_its_range"),
    Error(SMOOTH, "return to_unit(self.restore(lr))", "return self.restore(lr).clamp(0, 1)", f"{MS}::test_infer_is_the_network_in_its_range"),
    Error(SELFSR, "return to_unit(self.net(to_signed(lr), self.top))", "return to_unit(self.net(to_signed(lr), self.top - 1))", f"{MS}::test_infer_is_the_network_in_its_range"),
    Error(SMOOTH, 'if p.feature_loss != "none":', "if False:", "tests/methods/test_smooth_features.py::test_features_are_those_of_the_papers_vgg_or_the_released_ones"),
    Error(RRDB_GAN, 'if p.feature_loss == "lpips":', "if False:", "tests/methods/test_esrgan.py"),
    Error("methods/selfsr_nets.py", "return self.gamma(condition) * F.instance_norm(self.conv(x))", "return (1 + self.gamma(condition)) * F.instance_norm(self.conv(x))", "tests/methods/test_selfsr.py::test_modulation_is_equation_6"),
    Error("bench/grid/reproductions.py", '("Ours", "14.89 19.30")', '("Ours", "14.98 19.30")', "tests/grid/test_reproductions.py::test_values_are_as_the_papers_print_them"),
    # ---- networks
    Error(BLOCKS, "y = x if self.first else F.relu(x)", "y = F.relu(x)", f"{NETS}::test_bulats_critic"),
    Error(BLOCKS, "return x + self.body(x)", "return self.body(x)", f"{NETS}::test_bulats_blocks_and_generators"),
    Error(BLOCKS, "return F.max_pool2d(y, 2) if self.pool else y", "return F.avg_pool2d(y, 2) if self.pool else y", f"{NETS}::test_bulats_critic"),
    Error(BLOCKS, "pool=i >= blocks - pools", "pool=i < pools", f"{NETS}::test_bulats_critic"),
    Error("degradations/high_to_low_nets.py", 'mode="bilinear", align_corners=False)', 'mode="nearest")', f"{NETS}::test_noise_for_other_sizes_is_resized_bilinearly"),
    Error("degradations/high_to_low_nets.py", "noise_plane(self.noise, z, self.size, hr)], 1), 16)", "0 * noise_plane(self.noise, z, self.size, hr)], 1), 16)", f"{NETS}::test_bulats_blocks_and_generators"),
    Error("methods/low_to_high_nets.py", "return x + self.blocks(x)", "return self.blocks(x)", f"{NETS}::test_bulats_blocks_and_generators"),
    Error("degradations/degradation_gan_nets.py", "RESIDUAL = 0.2", "RESIDUAL = 0.5", f"{NETS}::test_goswamis_degradation_generator"),
    Error("methods/smooth_features_nets.py", "RESIDUAL = 0.2", "RESIDUAL = 0.5", f"{NETS}::test_goswamis_blocks_and_feature_extractor"),
    Error("methods/smooth_features_nets.py", "return self.plain(x) + self.attention(self.attended(x))", "return self.plain(x) + self.attended(x)", f"{NETS}::test_goswamis_blocks_and_feature_extractor"),
    Error("methods/smooth_features_nets.py", "return x * self.gate(x)", "return x", f"{NETS}::test_goswamis_blocks_and_feature_extractor"),
    Error("bench/kit/critics.py", "stride=1 + index % 2", "stride=2 - index % 2", f"{NETS}::test_srgans_critic"),
    Error("bench/kit/critics.py", "nn.LeakyReLU(0.2), nn.Linear(16 * width, 1)", "nn.ReLU(), nn.Linear(16 * width, 1)", f"{NETS}::test_srgans_critic"),
    Error(FLOW_NETS, "image = clean + self.image(features)", "image = self.image(features)", "tests/methods/test_selfsr.py::test_training_starts_at_bicubic_lr"),
    Error(FLOW, "flow = offset if flow is None else flow + offset", "flow = offset", "tests/methods/test_selfsr.py::test_disturbance_is_added_to_the_predicted_flow"),
    Error("methods/selfsr_nets.py", "self.equal = gain / math.sqrt(inputs * kernel**2)", "self.equal = gain / math.sqrt(inputs)", "tests/methods/test_selfsr.py::test_equalised_weights_are_scaled_in_use_so_that_adam_moves_all_layers_alike"),
    Error(PATCHWISE, "tiled(self.sharpen, lr, self.scale, self.params.tile, self.params.overlap)", "self.sharpen(lr)", "tests/methods/test_esrgan.py::test_large_inputs_go_through_the_network_in_tiles"),
    Error("bench/kit/patches.py", "x[:, y : y + side_y, z : z + side_x] for", "x[:, :side_y, :side_x] for", "tests/methods/test_esrgan.py::test_patches_are_cut_at_random_places"),
    Error(ESRGAN, "sizes = [size for size in sizes if min(size) >= SMALLEST] or [(height, width)]", "sizes = [(height, width)]", "tests/methods/test_esrgan.py::test_patches_come_from_faces_of_every_side"),
    Error(JPEGK, "< p.probability", "> p.probability", f"{JK}::test_jpeg_comes_with_its_probability"),
    Error(POOL, "accepted &= variance <= psi", "accepted &= variance >= psi", f"{NP}::test_psi_bounds_the_variance_from_above"),
    Error("degradations/kernelgan.py", "both = torch.stack([real + REAL_NOISE * noise[0], fake + FAKE_NOISE * noise[1]], 1)", "both = torch.stack([fake + FAKE_NOISE * noise[1], real + REAL_NOISE * noise[0]], 1)", f"{KG}::test_the_networks_are_told_apart_and_pulled_the_right_way"),
    Error("degradations/kernelgan.py", "loss = (1 - verdict).abs().mean((1, 2))", "loss = verdict.abs().mean((1, 2))", f"{KG}::test_the_networks_are_told_apart_and_pulled_the_right_way"),
    Error("degradations/conditions.py", "sides = torch.randint(p.box[0], p.box[1] + 1", "sides = torch.randint(p.box[0], p.box[1]", "tests/degradations/test_conditions.py::test_a_boxs_side_is_drawn_for_each_face_from_the_whole_range"),
    Error(LOOP_PY, "        self.model.train()\n", "        self.model.eval()\n", f"{LOOP}::test_networks_train_in_train_mode"),
    # ---- the systems that the papers compare with
    Error(SRGAN, "run.minimize(F.mse_loss(fake, to_signed(hr))", "run.minimize(F.mse_loss(fake, hr)", f"{CS}::test_srresnet_minimises_mse_between_minus_one_and_one"),
    Error(SRGAN, "nonsaturating_critic(self.critic(to_signed(hr)), self.critic(fake.detach()))", "nonsaturating_critic(self.critic(fake.detach()), self.critic(to_signed(hr)))", f"{CS}::test_srgan_updates_its_critic_then_its_generator_by_equation_3"),
    Error(SRGAN, "loss = loss + self.params.adversarial * adversarial", "loss = loss + adversarial", f"{CS}::test_srgan_updates_its_critic_then_its_generator_by_equation_3"),
    Error(SRGAN, "VGG_SCALE**2 * self", "VGG_SCALE * self", f"{CS}::test_the_content_loss_is_the_mse_of_rescaled_activations"),
    Error(SRGAN, "F.mse_loss)\n", "F.l1_loss)\n", f"{CS}::test_the_content_loss_is_the_mse_of_rescaled_activations"),
    Error("bench/grid/resolve.py", " or v == 0)", ")", f"{CS}::test_srgan_variants_are_those_of_table_1"),
    Error(SRGAN, '"variation": 2e-8', '"variation": 2e-6', f"{CS}::test_srgan_variants_are_those_of_table_1"),
    Error(SRGAN, "self.params.variation * total_variation(fake)", "total_variation(fake)", f"{CS}::test_total_variation_has_its_weight"),
    Error(LOSSES, "down.square().sum() + right.square().sum()", "down.abs().sum() + right.abs().sum()", "tests/kit/test_losses.py"),
    Error(CYCLEGAN_SR, 'default_degradation = ""', 'default_degradation = "bicubic"', f"{PRESETS}::test_what_learns_from_real_lr_alone_takes_no_degradation"),
    Error(SRGAN, "stepped(o, p.steps, p.falls, 0.1)", "stepped(o, p.steps, p.falls)", f"{CS}::test_rates_fall_where_the_papers_say"),
    Error("methods/patchwise.py", "F.l1_loss(fake, hr)", "F.mse_loss(fake, hr)", f"{CS}::test_edsr_and_rdn_minimise_l1_of_what_they_make_of_the_lr"),
    Error(EDSR, "return self.last(x) / RANGE + self.mean", "return self.last(x) / RANGE", f"{CN}::test_edsr_checkpoints_give_what_their_network_gives"),
    Error("bench/kit/enlarging.py", "return x + self.scaling * self.body(x)", "return x + self.body(x)", f"{CN}::test_edsr_checkpoints_give_what_their_network_gives"),
    Error("bench/kit/patches.py", "return images.flip(-1) if way >= 4 else images", "return images", f"{CN}::test_self_ensemble_is_the_mean_over_eight_ways"),
    Error("bench/kit/patches.py", "torch.randint(8, (len(images),))", "torch.randint(4, (len(images),))", f"{CS}::test_patches_are_pieces_of_the_faces_turned_and_mirrored"),
    Error(RDN, "dense = self.fuse(torch.cat(found, 1)) + shallow", "dense = self.fuse(torch.cat(found, 1)) + x", f"{CN}::test_rdn_checkpoints_give_what_their_network_gives"),
    Error(RDN, "return x + self.fuse(found)", "return self.fuse(found)", f"{CN}::test_rdn_checkpoints_give_what_their_network_gives"),
    Error(RRDB_GAN, "p.pixel * pixel + p.adversarial * adversarial", "pixel + p.adversarial * adversarial", f"{CS}::test_esrgan_minimises_equation_3_then_its_critic_equation_1"),
    Error(BICUBIC_ESRGAN, "torch.lerp(smooth, sharp, alpha)", "torch.lerp(sharp, smooth, alpha)", f"{CS}::test_alpha_interpolates_between_the_weights_of_both_stages"),
    Error(BICUBIC_ESRGAN, "self.psnr.load_state_dict(self.net.state_dict())", "pass", f"{CS}::test_alpha_interpolates_between_the_weights_of_both_stages"),
    Error(BICUBIC_ESRGAN, "betas = (0.9, 0.999)", "betas = (0.9, 0.99)", f"{CS}::test_optimizers_are_the_papers"),
    Error(CYCLEGAN_SR, "p.cycle * terms", "terms", f"{CS}::test_cyclegan_translates_enlarged_real_lr_and_hr_both_ways"),
    Error(CYCLEGAN_SR, "self.critic(self.history(restored))", "self.critic(restored.detach())", f"{CS}::test_its_critics_see_earlier_images_too"),
    Error(CYCLEGAN_SR, "self.net(to_signed(upsample", "self.back(to_signed(upsample", f"{CS}::test_cyclegan_translates_enlarged_real_lr_and_hr_both_ways"),
    Error(WAVELET, "p.alpha * given + p.margin - energy", "energy - p.alpha * given + p.margin", f"{CS}::test_wavelet_srnet_weighs_coefficients_texture_and_image"),
    Error(WAVELET, "p.average * average + p.detail * detail", "p.detail * average + p.average * detail", f"{CS}::test_wavelet_srnet_weighs_coefficients_texture_and_image"),
    Error(WAVELET, "weight_decay=p.decay", "weight_decay=0", f"{CS}::test_optimizers_are_the_papers"),
    Error(WAVELET_NETS, '"drc,eyx->deyrxc"', '"drc,eyx->edyrxc"', f"{CN}::test_packets_are_those_of_repeated_haar_steps_and_invert"),
    Error(WAVELET_NETS, "Block(subnet * count, 2 * subnet * count, count, count)", "Block(subnet * count, 2 * subnet * count, 1, count)", f"{CN}::test_each_coefficient_has_a_subnet_of_its_own"),
    Error(PATCHWISE, "return turned(hr) if self.params.turns else hr", "return hr", f"{CS}::test_patches_are_pieces_of_the_faces_turned_and_mirrored"),
    Error(CHECKPOINTS, "names = list(ours) if given == wanted else list(ours)[:shared]", "names = list(ours)", f"{CN}::test_a_network_of_another_scale_starts_all_but_its_upsampling"),
    Error(CHECKPOINTS, "return ends and bool(between) and all(outputs > inputs for outputs, inputs, *_ in between)", "return ends", f"{CN}::test_a_network_of_more_or_fewer_blocks_is_not_one_of_another_scale"),
    # ---- the same, second list
    Error(SRGAN, "content = VGG_SCALE**2 * self.content_loss((fake.float() + 1) / 2, hr)", "content = VGG_SCALE**2 * self.content_loss(fake.float(), hr)", CS),
    Error(SRGAN, "self.critic(to_signed(hr)), self.critic(fake.detach())", "self.critic(hr), self.critic(fake.detach())", CS),
    Error(SRGAN, "return (self.net(lr) + 1) / 2", "return self.net(lr)", CS),
    Error(SRGAN, "nonsaturating_generator(self.critic(fake))", "nonsaturating_generator(self.critic(fake.detach()))", CS),
    Error(SRGAN, "return self.last(self.up(x + self.merge(self.blocks(x))))", "return self.last(self.up(self.merge(self.blocks(x))))", CL),
    Error(SRGAN, "return self.last(self.up(x + self.merge(self.blocks(x))))", "return torch.tanh(self.last(self.up(x + self.merge(self.blocks(x)))))", CL),
    Error(SRGAN, 'self.critic = SRGANCritic(side, p.critic_width, "batch")', 'self.critic = SRGANCritic(side, p.critic_width)', CL),
    Error(BICUBIC_ESRGAN, 'self.critic = SRGANCritic(side, p.critic_width, "batch")', 'self.critic = SRGANCritic(side, p.critic_width)', CL),
    Error(SRGAN, "side = min(p.patch * self.scale, self.hr_size)", "side = self.hr_size", CL),
    Error(BICUBIC_ESRGAN, "side = min(p.patch * self.scale, self.hr_size)", "side = self.hr_size", CL),
    Error(SRGAN, "patch: int = 24", "patch: int = 96", CL),
    Error(SRGAN, "batch: int = 16", "batch: int = 4", CL),
    Error(SRGAN, "gain=2, bias=-1)", "gain=1, bias=0)", CN),
    Error(EDSR, "MEAN = (0.4488, 0.4371, 0.4040)", "MEAN = (0.4040, 0.4371, 0.4488)", CN),
    Error(EDSR, "patch: int = 48", "patch: int = 192", CL),
    Error(EDSR, "scaling: float = 0.1", "scaling: float = 1.0", CL),
    Error(EDSR, '"scaling": 1.0},', '"scaling": 0.1},', CL),
    Error(EDSR, "return self_ensemble(self.net, lr) if self.params.self_ensemble else self.net(lr)", "return self_ensemble(self.net, lr)", CN),
    Error(EDSR, "x = self.first((lr - self.mean) * RANGE)", "x = self.first(lr * RANGE - self.mean)", CN),
    Error(RDN, "F.relu(layer(found))", "layer(found)", CN),
    Error(RDN, "self.blocks = nn.ModuleList(ResidualDenseBlock(width, convs, growth) for _ in range(blocks))", "self.blocks = nn.ModuleList([ResidualDenseBlock(width, convs, growth)] * blocks)", CN),
    Error(RDN, "patch: int = 32", "patch: int = 128", CL),
    Error(RDN, "turns: bool = True", "turns: bool = False", CL),
    Error(RDN, "found.append(x)", "found.append(shallow)", CN),
    Error(FEATURES, '"conv5_4": 35', '"conv5_4": 36', CS),
    Error(FEATURES, "(images - self.mean) / self.std", "(images.flip(1) - self.mean) / self.std", CS),
    Error(ESRGAN_NETS, "RESIDUAL = 0.2", "RESIDUAL = 1.0", "tests/methods/test_esrgan.py"),
    Error(ESRGAN_NETS, "layer.weight.mul_(START)", "layer.weight.mul_(1)", CL),
    Error(BICUBIC_ESRGAN, "adversarial: float = 0.005", "adversarial: float = 0.05", CL),
    Error(BICUBIC_ESRGAN, "pixel: float = 0.01", "pixel: float = 1.0", CL),
    Error(BICUBIC_ESRGAN, "l1_lr: float = 2e-4", "l1_lr: float = 1e-4", CL),
    Error(BICUBIC_ESRGAN, "alpha = self.params.alpha if self.params.steps else 1.0", "alpha = self.params.alpha", CS),
    Error(BICUBIC_ESRGAN, 'training_only = ("critic", "psnr")', 'training_only = ("critic",)', CS),
    Error(LOSSES, "return (real_side + fake_side) / 2", "return real_side + fake_side", CS),
    Error(CYCLE, "nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1)", "nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1, bias=False)", CL),
    Error(CYCLE, 'nn.Conv2d(3, width, 7, padding=3, padding_mode="reflect")', 'nn.Conv2d(3, width, 7, padding=3)', CL),
    Error(CYCLE, 'nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"), nn.InstanceNorm2d(channels), nn.ReLU(),', 'nn.Conv2d(channels, channels, 3, padding=1), nn.InstanceNorm2d(channels), nn.ReLU(),', CL),
    Error(CYCLE, "        return x + self.body(x)", "        return self.body(x)", CL),
    Error(CYCLE, "return [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.InstanceNorm2d(outputs), nn.ReLU()]", "return [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.InstanceNorm2d(outputs), nn.LeakyReLU(0.2)]", CL),
    Error(CYCLEGAN_SR, "blocks: int = 6", "blocks: int = 9", CL),
    Error(CYCLEGAN_SR, "patch_layers(self.hr_size)", "1", CL),
    Error(CYCLEGAN_SR, "resize(batch.lr_real, (height, width))", "resize(batch.lr_real, (height, width)).roll(1, 0)", CS),
    Error(CYCLEGAN_SR, "self.back_critic(self.back_history(blurred))", "self.back_critic(self.history(blurred))", CS),
    Error(CYCLEGAN_SR, "falling(optimizers, p.steps, 0.5)", "falling(optimizers, p.steps, 1.0)", CS),
    Error(WAVELET, "reduction=\"sum\") / (2 * len(hr))", "reduction=\"sum\") / len(hr)", CS),
    Error(WAVELET, "c[:, 1:].square().sum(2)", "c[:, 1:].square().mean(2)", CS),
    Error(WAVELET, "overlap: int = 26", "overlap: int = 24", CL),
    Error(WAVELET, "batch: int = 64", "batch: int = 16", CL),
    Error(WAVELET_NETS, "return F.relu(self.norm(self.body(x) + self.expand(x)))", "return F.relu(self.norm(self.body(x)) + self.expand(x))", CL),
    Error(WAVELET_NETS, "return F.relu(self.norm(self.body(x) + self.expand(x)))", "return self.norm(self.body(x) + self.expand(x))", CL),
    Error(WAVELET_NETS, "self.apply(initialise)", "pass", CL),
    Error(WAVELET_NETS, "* module.out_channels)", "* module.in_channels)", CL),
    Error(PATCHES, "lefts = torch.randint(width - side_x + 1, (len(images),)).tolist()", "lefts = tops", CL),
    Error(PATCHES, "tops = torch.randint(height - side_y + 1, (len(images),)).tolist()", "tops = torch.randint(height - side_y + 1, (1,)).tolist() * len(images)", CL),
    Error(PATCHES, "zip(images, torch.randint(8, (len(images),)).tolist(), strict=True)", "zip(images, torch.randint(8, (1,)).tolist() * len(images), strict=True)", CL),
    Error(PATCHES, "images = torch.rot90(images, -(way % 4), (-2, -1))", "images = torch.rot90(images, way % 4, (-2, -1))", CN),
    Error(PATCHWISE, "hr = crops(hr, self.params.patch * self.scale)", "hr = crops(hr, self.params.patch)", CS),
    Error(PATCHWISE, "lr = self.degrade(hr)", "lr = self.degrade(batch.hr)", CS),
    Error(PATCHWISE, "self.params.tile, self.params.overlap)", "self.params.tile, 0)", CN),
    Error(PATCHWISE, 'if self.params.init == "none":\n            self.start()', 'if True:\n            self.start()', CS),
    Error(CHECKPOINTS, 'r"(^|\\.)(sub_mean|add_mean|mean$)"', 'r"^nothing$"', CN),
    Error(CHECKPOINTS, '("params_ema", "params", "state_dict", "model")', '("params", "params_ema", "state_dict", "model")', CN),
    Error(ENLARGING, "carry(layer, [(0.25, 0.75, 0), (0, 0.75, 0.25)])", "carry(layer, [(0, 0.75, 0.25), (0.25, 0.75, 0)])", CN),
    Error(ENLARGING, "layers += [activation()] if activation else []", "layers = [*layers[:-1], activation(), layers[-1]] if activation else layers", CL),
    Error(SCHEDULES, "min(1, (step + 1) / (warm + 1))", "1", CL),
    Error(SCHEDULES, "(step + 1) / (warm + 1)", "step / (warm + 1)", CL),
    Error(CRITICS, "nn.LeakyReLU(0.2),\n            ]", "nn.ReLU(),\n            ]", "tests/methods/test_networks.py::test_srgans_critic"),
    Error(RRDB_GAN, "relativistic_average(self.critic(fake), real)", "relativistic_average(self.critic(fake.detach()), real)", CS),
    Error(RRDB_GAN, "loss = loss + p.feature * feature", "loss = loss + feature", CS),
    Error(RRDB_GAN, "self.feature_loss(fake.float(), hr)", "self.feature_loss(fake.float().detach(), hr)", CS),
    Error(CYCLE, "least_squares_generator(critic(to_b))", "least_squares_generator(critic(to_b.detach()))", CS),
    Error(CYCLE, "F.l1_loss(back(to_b), a)", "F.l1_loss(back(to_b.detach()), a)", CS),
    Error(CYCLE, "F.l1_loss(forth(to_a), b)", "F.l1_loss(forth(to_a.detach()), b)", CS),
    Error(L2H, "adversarial = critic_score(self.critic(fake))", "adversarial = critic_score(self.critic(fake.detach()))", MS),
    Error(SMOOTH, "critic_score(self.critic(fake))", "critic_score(self.critic(fake.detach()))", MS),
    Error(SELFSR, "critic_score(self.critic(fake, level, fade))", "critic_score(self.critic(fake.detach(), level, fade))", MS),
    Error(H2L, "adversarial = critic_score(self.critic(fake))", "adversarial = critic_score(self.critic(fake.detach()))", DS),
    Error(DGAN, "adversarial = critic_score(self.critic(fake))", "adversarial = critic_score(self.critic(fake.detach()))", DS),
    Error(FLOW, "adversarial = nonsaturating_generator(self.critic(fake))", "adversarial = nonsaturating_generator(self.critic(fake.detach()))", DS),
    # ---- metrics and statistics
    Error("metrics/versions.py", "return 255 * (a - b).square().mean((1, 2, 3)).sqrt()", "return 255 * (a - b).abs().mean((1, 2, 3))", "tests/metrics/test_consistency.py"),
    Error("metrics/versions.py", "{outputs.names[i]}|{spec}|{number}", "{outputs.names[i]}|{spec}", "tests/metrics/test_consistency.py"),
    Error("metrics/smoothness.py", "torch.lerp(v, clean, float(a))", "torch.lerp(clean, v, float(a))", "tests/metrics/test_smoothness.py"),
    Error("metrics/consistency.py", "each if len(versions) == 1 else 1", "1", "tests/metrics/test_consistency.py::test_with_one_level_the_figure_shows_all_versions_side_by_side"),
    Error("metrics/smoothness.py", "source=p.source, ", "", "tests/metrics/test_smoothness.py::test_versions_may_be_made_on_the_way_from_hr"),
    Error("bench/core/stats.py", "[(1 - level) / 2, (1 + level) / 2]", "[1 - level, level]", "tests/core/test_stats.py"),
    # ---- downloads
    Error(DOWNLOAD, 'headers |= {"If-Range": known.validator} if known.validator else {}', "pass", f"{DOWNLOADS}::test_the_rest_is_asked_for_as_of_the_same_file"),
    Error(DOWNLOAD, " or not _same(known, offer)", "", f"{DOWNLOADS}::test_what_is_here_of_a_file_that_has_changed_is_left"),
    Error(DOWNLOAD, "first != have or ", "", f"{DOWNLOADS}::test_what_is_here_of_a_file_that_has_changed_is_left"),
    Error(DOWNLOAD, "if known.validator or hashed else 0", "", f"{DOWNLOADS}::test_without_validators_only_a_published_hash_lets_a_download_go_on"),
    Error(DOWNLOAD, "answer.length = None", "pass", f"{DOWNLOADS}::test_a_body_that_is_no_file_is_neither_kept_nor_recorded"),
    Error(DOWNLOAD, "if done < (total or 0):", "if False:", f"{DOWNLOADS}::test_a_body_that_is_shorter_than_announced_is_kept_as_a_part_alone"),
    Error(DOWNLOAD, "if done == total:", "if False:", f"{DOWNLOADS}::test_a_host_that_leaves_the_connection_open_is_no_fault"),
    Error(DOWNLOAD, "permitted(url, request.full_url)", "pass", f"{DOWNLOADS}::test_redirects_go_to_https_and_never_from_it_to_http"),
    Error(DOWNLOAD, 'came.scheme == "http" and to.hostname', 'came.scheme and to.hostname', f"{DOWNLOADS}::test_redirects_go_to_https_and_never_from_it_to_http"),
    Error(DOWNLOAD, "in (came.hostname, *LOCAL)", "", f"{DOWNLOADS}::test_a_plain_address_sends_to_no_other_plain_host"),
    Error(DOWNLOAD, "proxy.rpartition('@')[2]", "proxy", f"{DOWNLOADS}::test_a_proxy_that_is_not_there_is_named_without_its_password"),
    Error(DOWNLOAD, 'discard(part)  # nothing after what is here: it is of another file', "raise", f"{DOWNLOADS}::test_what_is_here_of_a_file_that_has_changed_is_left"),
    Error(FETCH, 'with held(target.with_name(f"{wanted.file}.lock"), f"the download of {wanted.file}"):', "if True:", f"{DOWNLOADS}::test_two_processes_download_a_file_once"),
    Error(FETCH, "if here := already(wanted, quiet=True):", "if here := '':", f"{DOWNLOADS}::test_two_processes_download_a_file_once"),
    Error(FETCH, "if not begun:", "if True:", f"{DOWNLOADS}::test_a_part_that_does_not_fit_the_published_hash_is_left_for_the_whole"),
    Error(FILES, "if wanted.sha256 or wanted.file in recorded_hashes():", "if True:", f"{WEIGHTS}::test_the_first_download_of_a_file_without_a_published_hash_is_recorded"),
    Error(FILES, 'recorded = "" if wanted.sha256 else recorded_hashes().get(wanted.file, "")', 'recorded = ""', f"{WEIGHTS}::test_verify_agrees_with_nothing_that_it_wrote_itself"),
    Error(FILES, "(odd := no_weights(stream.read(512)))", "(odd := '')", f"{WEIGHTS}::test_files_come_from_a_folder_and_from_a_mirror"),
    # ---- reports: statistics of single faces, the page's scripts, figures
    Error("bench/core/stats.py", "- ties / 48", "", "tests/core/test_stats.py::test_many_pairs_at_once_are_each_scipys"),
    Error("bench/core/stats.py", "chances[: at + 1].sum()", "chances[:at].sum()", "tests/core/test_stats.py::test_wilcoxon_agrees_with_counting_all_signs"),
    Error("reports/rows.py", "(sums / np.bincount(cell, minlength=size))", "sums", "tests/reports/test_tables.py::test_a_faces_value_is_the_mean_over_seeds_and_belongs_to_its_row"),
    Error("reports/statistics.py", "and (among is None or key in among)", "", "tests/reports/test_figures.py"),
    Error("reports/tabular.py", "return said if said not in OTHERS or said == name == \"cost\" else \"\"", "return said", "tests/reports/test_odd.py"),
    Error("reports/templates/tables.js", "sign * (higher ? -1 : 1)", "sign * (higher ? 1 : -1)", "tests/reports/test_browser.py::test_a_table_sorts_filters_hides_and_compares"),
    Error("reports/templates/tables.js", "const sure = p === null || p <= 0.05", "const sure = p === null || p <= 1", "tests/reports/test_browser.py::test_a_table_sorts_filters_hides_and_compares"),
    Error("reports/templates/detail.js", 'if (direction === "higher") known.reverse();', "", "tests/reports/test_browser.py::test_a_value_opens_its_protocol_its_distribution_and_its_faces"),
    Error("reports/templates/viewer.js", "inset(0 0 0 ${state.split * 100}%)", "inset(0 ${state.split * 100}% 0 0)", "tests/reports/test_browser.py::test_the_viewer_slides_zooms_together_and_answers_keys"),
    Error("bench/study/templates/study.js", "shown: first,", "shown: order,", "tests/study/test_page.py"),
    Error("reports/diagrams.py", "(rank - 1) / max(1, k - 1) * (right - left)", "(rank - 1) / k * (right - left) + 0.1 * (rank > 2)", "tests/reports/test_plots.py::test_texts_of_a_rank_diagram_do_not_overlap_and_its_dots_stand_at_the_ranks"),
]  # fmt: skip


def verdict(error: Error | None, test: str, copy: Path) -> str:
    """Run one test on the copy, in a child of this process (torch is imported once): noticed, survived, or what went wrong."""
    text = ""
    if error:
        file = copy / error.file
        text = file.read_text(encoding="utf-8")
        if text.count(error.right) != 1:
            return f"the text stands there {text.count(error.right)} times"
        file.write_text(text.replace(error.right, error.wrong), encoding="utf-8")
    sys.stdout.flush()
    if not (child := os.fork()):
        os.chdir(copy)
        sys.path.insert(0, str(copy))
        os.environ["PYTHONPATH"] = str(copy)
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        import pytest

        os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", test]))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if error:
        file.write_text(text, encoding="utf-8")
    return {0: "survived", 1: "noticed"}.get(code, f"pytest ended with {code}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", default="")
    parser.add_argument("--list", action="store_true", help="print the errors, run nothing")
    given = parser.parse_args()
    chosen = [e for e in ERRORS if any(given.part in text for text in (e.file, e.right, e.wrong, e.test))]
    if given.list:
        for e in chosen:
            print(f"{e.file}: {e.right!r} -> {e.wrong!r}: {e.test}")
        return 0
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    import pytest  # noqa: F401 (once, for all children)
    import scipy.stats  # noqa: F401
    import torch

    torch.set_num_threads(1)
    counts, others, begin = {"noticed": 0, "survived": 0}, 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        shutil.copytree(
            ROOT, copy, ignore=shutil.ignore_patterns(".git", "__pycache__", "*.pt", "bench-run", ".venv", "docs")
        )
        if (ROOT.parent / "shared").is_dir():
            (Path(folder) / "shared").symlink_to(ROOT.parent / "shared")
        broken = {t for t in dict.fromkeys(e.test for e in chosen) if verdict(None, t, copy) != "survived"}
        for test in broken:
            print(f"fails without any error: {test}", flush=True)
        for number, error in enumerate(chosen, 1):
            found = "its test fails anyway" if error.test in broken else verdict(error, error.test, copy)
            counts[found] = counts.get(found, 0) + 1
            others += found not in ("noticed", "survived")
            if found != "noticed":
                print(f"{found}: {error.file}: {error.right!r} -> {error.wrong!r} ({error.test})", flush=True)
            elif number % 10 == 0:
                print(f"{number} of {len(chosen)}, {time.monotonic() - begin:.0f} s", flush=True)
    print(
        f"{counts['noticed']} of {len(chosen)} errors are noticed, {counts['survived']} survive, {others} could not be tried"
    )
    return 0 if counts["noticed"] >= SHARE * len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
