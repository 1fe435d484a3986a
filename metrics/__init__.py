"""The metrics: what is measured on restored faces."""

import bench


@bench.hookimpl
def bench_metrics():
    """Name: (module:class, one line; * = measured where --metrics is not given)."""
    return {
        # fidelity: needs the ground truth
        "psnr": (f"{__name__}.fidelity:Psnr", "* peak signal-to-noise ratio, dB (Y channel)"),
        "ssim": (f"{__name__}.fidelity:Ssim", "* structural similarity (Y channel)"),
        "lr-psnr": (f"{__name__}.fidelity:LrPsnr", "PSNR of the output, downsampled, against the LR input, dB"),
        # perceptual: needs the ground truth and weights
        "lpips": (f"{__name__}.perceptual:Lpips", "* learned perceptual distance (AlexNet, VGG or SqueezeNet)"),
        # no-reference: needs weights
        "nima": (f"{__name__}.noreference:Nima", "* aesthetic score, 1-10 (AVA)"),
        # distribution: needs reference faces
        "fid": (f"{__name__}.distribution:Fid", "* Frechet Inception distance to the HR training faces"),
        "swd": (
            f"{__name__}.distribution:Swd",
            "* sliced Wasserstein distance of patches to the HR training faces; no weights",
        ),
        "fid-lr": (f"{__name__}.distribution:FidLr", "FID of a degradation's LR to the real LR"),
        "swd-lr": (
            f"{__name__}.distribution:SwdLr",
            "* sliced Wasserstein distance of a degradation's LR to the real LR",
        ),
        "swd-lr-gain": (
            f"{__name__}.distribution:SwdLrGain",
            "by how much that distance is below bicubic LR's, paired",
        ),
        # consistency: needs the method
        "consistency": (
            f"{__name__}.consistency:Consistency",
            "* distance between outputs for degraded versions of one face",
        ),
        "consistency-lpips": (f"{__name__}.consistency:ConsistencyLpips", "the same in LPIPS; needs weights"),
        "smoothness": (
            f"{__name__}.smoothness:Smoothness",
            "* how far a method's features move as its input degrades (Goswami 2020)",
        ),
        # the method alone
        "cost": (f"{__name__}.cost:Cost", "* multiply-adds, parameters and memory of one face; faces a second"),
    }
