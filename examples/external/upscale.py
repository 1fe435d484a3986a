"""A program that knows nothing of bench: python upscale.py INPUT_FOLDER OUTPUT_FOLDER [SCALE]."""

import sys
from pathlib import Path

from PIL import Image, ImageFilter

source, target, scale = Path(sys.argv[1]), Path(sys.argv[2]), int((*sys.argv[3:], 4)[0])
target.mkdir(parents=True, exist_ok=True)
for file in sorted(source.glob("*.png")):
    face = Image.open(file).convert("RGB")
    large = face.resize((face.width * scale, face.height * scale), Image.Resampling.LANCZOS)
    large.filter(ImageFilter.EDGE_ENHANCE).save(target / file.name)
