"""The pretrained files that metrics and losses need: names, addresses, hashes, licences. Data only.

File names and addresses are those in the source of the packages that use them (pytorch-fid, torchvision, pyiqa, facexlib,
BasicSR for ESRGAN's network) and on AdaFace's page. Hashes: whole where one is published with the file's address, else the
digits in the file's name, which are its SHA-256's first 8, else empty: then that of the first download is recorded in the
store and checked from there on.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Weights:
    """One pretrained file. ``sha256``: all 64 digits, or the first 8, or empty. ``bytes``: None where not published."""

    name: str
    file: str
    purpose: str
    url: str
    sha256: str
    bytes: int | None
    licence: str
    opens: tuple[str, ...] = ()  # what cannot run without it, beside the plugins that say so themselves (`pretrained`)


TORCHVISION = "https://download.pytorch.org/models"
FACEXLIB = "https://github.com/xinntao/facexlib/releases/download/v0.1.0"
PYIQA = "https://huggingface.co/chaofengc/IQA-PyTorch-Weights/resolve/main"


def _torchvision(name: str, file: str, purpose: str) -> Weights:
    """The 8 digits of the file's name are its hash's first (torch.hub checks them so)."""
    digits = file.rpartition("-")[2].removesuffix(".pth")
    return Weights(name, file, purpose, f"{TORCHVISION}/{file}", digits, None, "BSD-3-Clause (torchvision)")


def _pyiqa(name: str, file: str, purpose: str, licence: str = "PolyForm-NC-1.0 (pyiqa)") -> Weights:
    tail = file.rpartition(".")[0].rpartition("-")[2]
    digits = tail if len(tail) == 8 else ""
    return Weights(name, file, purpose, f"{PYIQA}/{file}", digits, None, licence)


def _facexlib(name: str, file: str, purpose: str) -> Weights:
    return Weights(name, file, purpose, f"{FACEXLIB}/{file}", "", None, "MIT (facexlib)")


def _drive(name: str, file: str, purpose: str, key: str) -> Weights:
    """AdaFace's, on Google Drive; ``confirm`` stands for the click on its warning about large files."""
    url = f"https://drive.usercontent.google.com/download?id={key}&export=download&confirm=t"
    return Weights(name, file, purpose, url, "", None, "MIT (AdaFace)")


MANIFEST = (
    Weights(
        "inception-fid", "pt_inception-2015-12-05-6726825d.pth", "Inception-v3 of TensorFlow's FID",
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2", 95_628_359, "Apache-2.0 (pytorch-fid)",
    ),
    Weights(
        "ffhq-512", "inception_FFHQ_512-f7b384ab.pth", "FID's statistics of 50,000 faces of FFHQ, 512 px (--reference)",
        "https://drive.google.com/drive/folders/13cWIQyHX3iNmZRJ5v8v3kdyrT9RBTAi9", "f7b384ab", None,
        "CC-BY-NC-SA-4.0 (FFHQ), Apache-2.0 (BasicSR)", ("fid[--reference ffhq-512]",),
    ),
    _torchvision("alexnet", "alexnet-owt-7be5be79.pth", "AlexNet on ImageNet"),
    _torchvision("vgg16", "vgg16-397923af.pth", "VGG16 on ImageNet"),
    _torchvision("vgg19", "vgg19-dcbb9e9d.pth", "VGG19 on ImageNet"),
    _torchvision("squeezenet1_1", "squeezenet1_1-b8a52dc0.pth", "SqueezeNet 1.1 on ImageNet"),
    _pyiqa("dists", "DISTS_weights-f5e65c96.pth", "DISTS's weights of each feature map", licence="MIT (DISTS)"),
    _pyiqa("nima-ava", "NIMA_InceptionV2_ava-b0c77c00.pth", "NIMA (Inception-ResNet-v2), AVA"),
    _pyiqa("nima-koniq", "NIMA_koniq-250367ae.pth", "NIMA (Inception-ResNet-v2), KonIQ-10k"),
    _pyiqa("nima-spaq", "NIMA-spaq-46a7fcb7.pth", "NIMA (Inception-ResNet-v2), SPAQ"),
    Weights(
        "nima-tid2013", "weights_mobilenet_technical_0.11.hdf5", "NIMA (MobileNet), TID2013",
        "https://github.com/idealo/image-quality-assessment/raw/master/models/MobileNet/"
        "weights_mobilenet_technical_0.11.hdf5", "", None, "Apache-2.0 (idealo)",
    ),
    _pyiqa("niqe", "niqe_modelparameters.mat", "NIQE's statistics of natural patches"),
    _pyiqa("brisque", "brisque_svm_weights.pth", "BRISQUE's support vectors"),
    _pyiqa("nrqm", "NRQM_model.mat", "NRQM's (Ma's) regression forests"),
    _pyiqa("musiq-ava", "musiq_ava_ckpt-e8d3f067.pth", "MUSIQ, AVA"),
    _pyiqa("musiq-koniq", "musiq_koniq_ckpt-e95806b9.pth", "MUSIQ, KonIQ-10k"),
    _pyiqa("musiq-spaq", "musiq_spaq_ckpt-358bb6af.pth", "MUSIQ, SPAQ"),
    _pyiqa("topiq-face", "topiq_nr_cgfiqa_res50-0a8b8e4f.pth", "TOPIQ (ResNet-50), CGFIQA faces"),
    _pyiqa("topiq-gfiqa", "topiq_nr_gfiqa_res50-d76bf1ae.pth", "TOPIQ (ResNet-50), GFIQA faces"),
    Weights(
        "arcface", "recognition_arcface_ir_se50.pth", "ArcFace (IR-SE-50) face recognition",
        "https://github.com/xinntao/facexlib/releases/download/v0.1.0/recognition_arcface_ir_se50.pth",
        "a035c768259b98ab1ce0e646312f48b9e1e218197a0f80ac6765e88f8b6ddf28", None, "MIT (facexlib)",
    ),
    _facexlib("retinaface-resnet50", "detection_Resnet50_Final.pth", "RetinaFace (ResNet-50) face detection"),
    _facexlib("retinaface-mobile", "detection_mobilenet0.25_Final.pth", "RetinaFace (MobileNet 0.25) face detection"),
    _facexlib("awing-fan", "alignment_WFLW_4HG.pth", "AWing's 98 landmarks (WFLW)"),
    _drive("adaface-ir50", "adaface_ir50_ms1mv2.ckpt", "AdaFace (IR-50), MS1MV2", "1eUaSHG4pGlIZK7hBkqjyp2fc2epKoBvI"),
    _drive("adaface-ir101", "adaface_ir101_ms1mv2.ckpt", "AdaFace (IR-101), MS1MV2", "1m757p4-tUU5xlSHLaO04sqnhvqankimN"),
    Weights(
        "dinov2-vitl14", "dinov2_vitl14_pretrain.pth", "DINOv2 (ViT-L/14)",
        "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth", "", None, "Apache-2.0 (DINOv2)",
    ),
    Weights(
        "clip-vit-l-14-336", "ViT-L-14-336px.pt", "CLIP (ViT-L/14, 336 px)",
        "https://openaipublic.azureedge.net/clip/models/"
        "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02/ViT-L-14-336px.pt",
        "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02", None, "MIT (CLIP)",
    ),
    Weights(
        "rrdb-psnr-x4", "ESRGAN_PSNR_SRx4_DF2K_official-150ff491.pth", "ESRGAN's PSNR-trained RRDB (RRDB_PSNR_x4)",
        "https://drive.google.com/uc?export=download&id=1swaV5iBMFfg-DL6ZyiARztbhutDCWXMM",
        "150ff491", None, "Apache-2.0 (BasicSR)",
    ),
)  # fmt: skip
