"""The papers' tables as runs: what to train, test and measure, and what was published. No torch here.

A row of a table is a method's spec; a method that this installation lacks, or a row that no method of the harness makes,
is named with what is missing. Published values are data, shown as published and never mixed with measured ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bench.core.spec import nearest, parse_list
from bench.errors import UsageError

Row = tuple[str, dict[str, float]]  # as the paper names it; by column


@dataclass(frozen=True)
class Reproduction:
    """One table or figure. ``absent``: rows or columns that the harness does not make, and why."""

    name: str
    paper: str
    table: str
    faces: str  # what --hr and --lr should be
    methods: str
    conditions: str
    metrics: str
    published: tuple[Row, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        return f"{self.paper}, {self.table}; {self.faces}"


BULAT, GOSWAMI, ZENG, AAKERBERG = "Bulat 2018", "Goswami 2020", "Zeng 2022", "Aakerberg 2021"
WILD = "--hr: aligned faces of 64 px (CelebA, AFLW, LS3D-W, VGGFace2), --lr: WIDER FACE at 16 px"
CELEBA = "--hr: CelebA at 128 px"
DEBLUR, FSRNET = "DeepDeblur: no such method here", "FSRNet: no such method here"
Y = "psnr[color=y],ssim[color=y],lpips,fid"


def rows(columns: str, *lines: tuple[str, Any]) -> tuple[Row, ...]:
    """("ours", "26.59 .7696") with columns "PSNR SSIM" -> ("ours", {"PSNR": 26.59, "SSIM": 0.7696}); - is no value."""
    heads = columns.split()
    return tuple(
        (name, {h: float(v) for h, v in zip(heads, values.split(), strict=True) if v != "-"}) for name, values in lines
    )


ALL = (
    Reproduction(
        "bulat-table1", BULAT, "table 1 and the FIDs of section 4.2", WILD,
        "srgan[degradation=bilinear],cyclegan-sr,wavelet-srnet[degradation=bilinear],"  # section 4.2
        "low-to-high[variant=bilinear],low-to-high[variant=blur-bilinear],"
        "low-to-high[variant=pixel-only],low-to-high[variant=full]",
        "real,bilinear", "fid,psnr[color=rgb],fid-lr",
        rows("FID PSNR", ("SRGAN", "104.80 23.19"), ("CycleGAN", "19.01 16.10"), ("DeepDeblur", "294.96 19.62"),
             ("Wavelet-SRNet", "149.46 23.98"), ("FSRNet", "157.29 19.45"), ("Low-to-High (bilinear)", "85.59 23.50"),
             ("Low-to-High (blur + bilinear)", "84.68 22.87"), ("High-to-Low + Low-to-High (pixel loss)", "87.91 23.22"),
             ("Ours", "14.89 19.30"))
        + rows("FID-LR", ("High-to-Low's LR", "15.27"), ("bilinear LR", "23.15")),
        (DEBLUR, FSRNET),
    ),
    Reproduction(
        "goswami-table1", GOSWAMI, "table 1", WILD, "esrgan,low-to-high,smooth-features", "real", "fid",
        rows("FID", ("ESRGAN", "139.2599"), ("Bulat et al.", "74.2798"), ("Ours", "77.1359")),
    ),
    Reproduction(
        "goswami-figures", GOSWAMI, "the figures on robustness and smoothness", WILD,
        "bicubic,low-to-high,smooth-features,smooth-features[variant=no-robust]", "bicubic,real",
        "consistency[degradation=degradation-gan,parameter=none,versions=5],"
        "smoothness[degradation=degradation-gan]",
    ),
    Reproduction(
        "selfsr-table1", ZENG, "table I", CELEBA,
        "bicubic[scale=8],rdn[scale=8],selfsr[variant=paired],selfsr[variant=unpaired]", "bicubic", Y,
        rows("PSNR SSIM LPIPS FID", ("Bicubic", "23.58 .6285 .5219 159.06"), ("RDN", "26.13 .7412 .3135 96.14"),
             ("FSRNet", "26.48 .7718 .2968 94.39"), ("DIC", "27.37 .7962 .2565 89.24"), ("FSRGAN", "25.06 .7311 .2342 85.17"),
             ("PFSR", "24.43 .6991 .1500 69.33"), ("DICGAN", "26.34 .7562 .0840 34.49"), ("Ours-P", "26.59 .7696 .0726 30.25"),
             ("Ours-UP", "23.42 .6539 .1141 35.61")),
        (FSRNET, "DIC, FSRGAN, PFSR, DICGAN: no such methods here"),
    ),
    Reproduction(
        "selfsr-table2", ZENG, "table II", WILD, "wavelet-srnet,srgan,cyclegan-sr,low-to-high,selfsr", "real", "fid",
        rows("FID", ("DeepDeblur", "294.96"), ("Wavelet-SRNet", "149.46"), ("SRGAN", "126.75"), ("FSRNet", "148.97"),
             ("CycleGAN", "37.63"), ("Bulat et al.", "26.41"), ("Shunta et al.", "33.19"), ("Our", "25.07")),
        (DEBLUR, FSRNET, "Shunta et al. (Maeda 2020): no such method here"),
    ),
    Reproduction(
        "selfsr-table3", ZENG, "table III", WILD,
        "selfsr[degradation=bicubic],selfsr[degradation=flow-field[variant=cycle]],"
        "selfsr[degradation=flow-field[variant=cycle+idt]],selfsr[degradation=flow-field[variant=flow+idt]]",
        "real,bicubic", "fid,fid-lr",
        rows("FID FID-LR", ("Vanilla", "61.82 24.28"), ("Cyc", "33.73 14.12"), ("Cyc, Idt", "29.94 12.81"),
             ("FF, Idt", "25.07 12.03")),
    ),
    Reproduction(
        "selfsr-table4", ZENG, "table IV", CELEBA,
        "selfsr[variant=concat],selfsr[variant=no-progressive],selfsr[variant=no-r1],selfsr[variant=paired],"
        "selfsr[variant=unpaired-concat],selfsr[variant=unpaired-no-progressive],selfsr[variant=unpaired-no-r1],"
        "selfsr[variant=unpaired]",
        "bicubic", Y,
        rows("PSNR SSIM LPIPS FID", ("paired: Vanilla, Prog., R1", "25.57 .7354 .1105 37.12"),
             ("paired: SCB, R1", "25.83 .7426 .1023 34.97"), ("paired: SCB, Prog.", "25.94 .7483 .0912 33.46"),
             ("paired: SCB, Prog., R1", "26.59 .7696 .0726 30.25"), ("unpaired: Vanilla, Prog., R1", "22.72 .6101 .1523 56.18"),
             ("unpaired: SCB, R1", "22.88 .6135 .1428 52.67"), ("unpaired: SCB, Prog.", "23.64 .6660 .1238 39.09"),
             ("unpaired: SCB, Prog., R1", "23.42 .6539 .1141 35.61")),
    ),
    Reproduction(
        "aakerberg-table1", AAKERBERG, "table 1", "--hr: FFHQ, --lr: ChokePoint crops",
        "bicubic,edsr,esrgan,esrgan-jpeg-kernel[variant=realsr],esrgan-jpeg-kernel", "real",
        "niqe,brisque,piqe,nrqm,pi,nima[data=tid2013]",
        rows("NIQE BRISQUE PIQE NRQM PI NIMA MOR", ("MZSR", "7.36 50.09 77.63 3.75 6.81 3.97 -"),
             ("EDSR", "5.43 50.63 81.97 3.82 5.81 4.08 -"), ("ESRGAN", "3.75 19.35 19.20 7.08 3.34 4.34 4.72"),
             ("USRNet", "6.10 59.13 87.70 3.19 6.46 4.75 3.11"), ("RealSR", "3.50 17.20 9.11 5.45 4.00 4.93 3.39"),
             ("DPSR", "5.58 55.52 60.99 3.38 6.10 5.15 2.71"), ("Ours", "4.56 19.07 14.61 7.62 3.47 5.92 1.43")),
        ("MZSR, USRNet, DPSR: no such methods here", "MOR: people's ranking, no metric"),
    ),
    Reproduction(
        "aakerberg-table2", AAKERBERG, "table 2", "--hr: FFHQ, its first 1,000 faces for tests, --lr: ChokePoint crops",
        "bicubic,edsr,esrgan,esrgan-jpeg-kernel[variant=realsr],esrgan-jpeg-kernel", "jpeg-kernel[variant=test]",
        "psnr,ssim,ms-ssim,nlpd,lpips,dists",
        rows("PSNR SSIM MS-SSIM NLPD LPIPS DISTS", ("Bicubic", "28.39 .79 .88 .32 .52 .20"),
             ("MZSR", "29.56 .78 .89 .29 .43 .18"), ("EDSR", "28.27 .78 .88 .33 .50 .19"),
             ("ESRGAN", "28.09 .77 .88 .34 .40 .19"),
             ("USRNet", "28.53 .80 .89 .32 .53 .21"), ("RealSR", "29.14 .79 .90 .29 .29 .18"),
             ("DPSR", "27.45 .79 .88 .33 .51 .25"),
             ("Ours", "30.20 .79 .91 .28 .25 .16")),
        ("MZSR, USRNet, DPSR: no such methods here",),
    ),
    Reproduction(
        "aakerberg-figure6", AAKERBERG, "figure 6", "--hr: FFHQ, --lr: ChokePoint crops",
        "esrgan-jpeg-kernel[variant=realsr],esrgan-jpeg-kernel[variant=+jpeg],esrgan-jpeg-kernel[variant=+jpeg+lpips]",
        "real", "nima[data=tid2013]",
    ),
)  # fmt: skip


def named(name: str) -> Reproduction:
    """Raises UsageError for an unknown name."""
    for one in ALL:
        if one.name == name:
            return one
    raise UsageError(f"--reproduce {name}{nearest(name, [one.name for one in ALL])}; see bench list reproductions")


def split(reproduction: Reproduction, known: Iterable[str]) -> tuple[str, list[str]]:
    """The methods that are there, comma-separated, and what is missing, each in a line."""
    there, missing = [], list(reproduction.absent)
    for spec in parse_list(reproduction.methods):
        if spec.name in known:
            there.append(str(spec))
        else:
            missing.append(f"{spec}: no method {spec.name} is installed")
    return ",".join(there), missing
