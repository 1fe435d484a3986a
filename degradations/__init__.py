"""The degradations: how LR is made from HR. Each is a test condition too."""

import bench


@bench.hookimpl
def bench_degradations():
    """Name: (module:class, one line)."""
    return {
        "bicubic": (f"{__name__}.conditions:Bicubic", "antialiased cubic downsampling"),
        "bilinear": (f"{__name__}.conditions:Bilinear", "antialiased linear downsampling"),
        "blur": (f"{__name__}.conditions:Blur", "Gaussian or box blur, then downsampling"),
        "noise": (f"{__name__}.conditions:Noise", "bicubic downsampling and Gaussian noise"),
        "jpeg": (f"{__name__}.conditions:Jpeg", "bicubic downsampling and JPEG"),
        "high-to-low": (f"{__name__}.high_to_low:HighToLow", "GAN from HR to real-looking LR (Bulat 2018)"),
        "degradation-gan": (
            f"{__name__}.degradation_gan:DegradationGAN",
            "GAN from clean to real-looking LR (Goswami 2020)",
        ),
        "flow-field": (f"{__name__}.flow_field:FlowField", "GAN that warps clean LR to look real (Zeng 2022)"),
        "jpeg-kernel": (
            f"{__name__}.jpeg_kernel:JpegKernel",
            "estimated kernels, real noise and JPEG (Aakerberg 2021)",
        ),
    }
