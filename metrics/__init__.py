"""The metrics: what is measured on restored faces."""

import bench


@bench.hookimpl
def bench_metrics():
    """Name: (module:class, one line)."""
    return {
        # fidelity: needs the ground truth
        "psnr": (f"{__name__}.fidelity:Psnr", "peak signal-to-noise ratio, dB (Y channel)"),
        "ssim": (f"{__name__}.fidelity:Ssim", "structural similarity (Y channel)"),
        "ms-ssim": (f"{__name__}.fidelity:MsSsim", "the same at several scales, as many as fit"),
        "nlpd": (f"{__name__}.fidelity:Nlpd", "normalised Laplacian pyramid distance"),
        "lr-psnr": (f"{__name__}.fidelity:LrPsnr", "PSNR of the output, downsampled, against the LR input, dB"),
        # perceptual: needs the ground truth and weights
        "lpips": (f"{__name__}.perceptual:Lpips", "learned perceptual distance (AlexNet, VGG or SqueezeNet)"),
        "dists": (f"{__name__}.perceptual:Dists", "distance of structure and texture (VGG16)"),
        # identity: needs weights, and the ground truth or the method
        "identity": (
            f"{__name__}.identity:Identity",
            "is it the same person? Cosine, Deg. and verification rate by ArcFace or AdaFace",
        ),
        "landmarks": (f"{__name__}.landmarks:Landmarks", "how far 98 landmarks move: LMD in pixels, NME in per cent"),
        "detection": (f"{__name__}.landmarks:Detection", "share of outputs in which RetinaFace finds a face"),
        # no-reference, learned: needs weights
        "nima": (f"{__name__}.noreference:Nima", "aesthetic score, 1-10 (AVA), or technical (KonIQ, SPAQ)"),
        "musiq": (f"{__name__}.noreference:Musiq", "technical score, 0-100 (KonIQ)"),
        "topiq-face": (f"{__name__}.noreference:TopiqFace", "quality of a face, about 0-1"),
        # no-reference, of image statistics: needs weights, but for piqe
        "niqe": (f"{__name__}.naturalness:Niqe", "distance to natural images' statistics; faces of 96 px and more"),
        "brisque": (f"{__name__}.naturalness:Brisque", "regression of natural images' statistics"),
        "piqe": (f"{__name__}.naturalness:Piqe", "distortion of active blocks; no weights"),
        "nrqm": (f"{__name__}.naturalness:Nrqm", "Ma's score of super-resolution, 0-10; slow"),
        "pi": (f"{__name__}.naturalness:Pi", "perceptual index of niqe and nrqm; faces of 104 px and more"),
        # any of pyiqa's, with or without the ground truth
        "pyiqa": (f"{__name__}.by_name:Pyiqa", "any of pyiqa's metrics by its name there: pyiqa[metric=maniqa]"),
        # distribution: needs reference faces
        "fid": (f"{__name__}.distribution:Fid", "Frechet Inception distance to the HR training faces"),
        "kid": (f"{__name__}.distribution:Kid", "kernel Inception distance, unbiased for few images"),
        "fd-dinov2": (
            f"{__name__}.embeddings:FdDinov2",
            "Frechet distance of DINOv2's features to the HR training faces",
        ),
        "cmmd": (f"{__name__}.embeddings:Cmmd", "maximum mean discrepancy of CLIP's features to the HR training faces"),
        "precision": (f"{__name__}.manifold:Precision", "share of outputs on the manifold of the HR training faces"),
        "recall": (f"{__name__}.manifold:Recall", "share of HR training faces on the manifold of the outputs"),
        "swd": (
            f"{__name__}.patches:Swd",
            "sliced Wasserstein distance of patches to the HR training faces; no weights",
        ),
        "fid-lr": (f"{__name__}.distribution:FidLr", "FID of a degradation's LR to the real LR"),
        "swd-lr": (
            f"{__name__}.patches:SwdLr",
            "sliced Wasserstein distance of a degradation's LR to the real LR",
        ),
        "swd-lr-gain": (
            f"{__name__}.patches:SwdLrGain",
            "by how much that distance is below bicubic LR's, paired",
        ),
        # a challenge's sum of several: needs LR inputs and FFHQ
        "ntire-face": (f"{__name__}.ntire:NtireFace", "NTIRE 2025 real-world face restoration: six terms and a gate"),
        # consistency: needs the method
        "consistency": (
            f"{__name__}.consistency:Consistency",
            "distance between outputs for degraded versions of one face",
        ),
        "consistency-lpips": (f"{__name__}.consistency:ConsistencyLpips", "the same in LPIPS; needs weights"),
        "consistency-identity": (
            f"{__name__}.consistency:ConsistencyIdentity",
            "the same in 1 - cosine of ArcFace embeddings; needs weights",
        ),
        "smoothness": (
            f"{__name__}.smoothness:Smoothness",
            "how far a method's features move as its input degrades (Goswami 2020)",
        ),
        # the method alone
        "cost": (f"{__name__}.cost:Cost", "multiply-adds, parameters and memory of one face; faces a second"),
    }
