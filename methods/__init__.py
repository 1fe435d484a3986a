"""The methods: how HR is restored from LR."""

import bench


@bench.hookimpl
def bench_methods():
    """Name: (module:class, one line)."""
    return {
        "bicubic": (f"{__name__}.interpolation:Bicubic", "cubic interpolation (Keys, a = -0.5)"),
        "bilinear": (f"{__name__}.interpolation:Bilinear", "linear interpolation"),
        "lanczos": (f"{__name__}.interpolation:Lanczos", "windowed-sinc interpolation (Lanczos, a = 3)"),
        "low-to-high": (f"{__name__}.low_to_high:LowToHigh", "residual GAN trained on learned LR (Bulat 2018)"),
        "smooth-features": (
            f"{__name__}.smooth_features:SmoothFeatures",
            "features that stay put when the LR degrades (Goswami 2020)",
        ),
        "selfsr": (f"{__name__}.selfsr:SelfSR", "growing GAN conditioned on its own input (Zeng 2022)"),
        "esrgan-jpeg-kernel": (
            f"{__name__}.esrgan_jpeg_kernel:ESRGANJpegKernel",
            "ESRGAN trained on estimated blur, noise and JPEG, with LPIPS (Aakerberg 2021)",
        ),
        "images": (f"{__name__}.images:Images", "outputs that any program made: dir=FOLDER, matched by name"),
        "external": (
            f"{__name__}.external:External",
            'any program: command="... {lr} ... {sr}", run on each condition',
        ),
        "srgan": (
            f"{__name__}.srgan:SRGAN",
            "residual network by MSE, then with VGG features and a critic (Ledig 2017)",
        ),
        "edsr": (f"{__name__}.edsr:EDSR", "wide residual network without batch norm, by L1 (Lim 2017)"),
        "rdn": (f"{__name__}.rdn:RDN", "residual dense blocks with local and global fusion, by L1 (Zhang 2018)"),
        "esrgan": (
            f"{__name__}.esrgan:ESRGAN",
            "RRDBNet by L1, then with VGG features and a relativistic critic (Wang 2018)",
        ),
        "cyclegan-sr": (f"{__name__}.cyclegan_sr:CycleGANSR", "unpaired translation of enlarged LR to HR (Zhu 2017)"),
        "wavelet-srnet": (
            f"{__name__}.wavelet_srnet:WaveletSRNet",
            "Haar wavelet packet coefficients of the HR face, predicted (Huang 2017)",
        ),
        "pretrained": (
            f"{__name__}.pretrained:Pretrained",
            "a checkpoint that spandrel loads, or one with its builder=FILE.py:NAME: weights=FILE",
        ),
        "onnx": (f"{__name__}.files:Onnx", "an ONNX graph, by onnxruntime: weights=FILE"),
        "torchscript": (
            f"{__name__}.files:TorchScript",
            "a network that torch.jit.save wrote, which is code: weights=FILE",
        ),
    }
