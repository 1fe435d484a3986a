"""A run of four methods on real LR, small enough to ask people about."""

import json

import numpy as np
import pandas as pd
import pytest
from made_reports import picture, row

METHODS = {"bicubic": 3.0, "lanczos": 3.2, "edge_net": 5.0, "<b>bold</b>": 4.0}  # and their NIMA
FACES = [f"face{i}" for i in range(6)]


@pytest.fixture
def run(tmp_path):
    rng, rows = np.random.default_rng(0), []
    for method, nima in METHODS.items():
        single = nima + rng.normal(0, 0.1, len(FACES))
        rows.append(row(method, "real", "nima", float(single.mean())))
        rows += [row(method, "real", "nima", float(v), image=f, n=1) for f, v in zip(FACES, single, strict=True)]
        rows.append(row(method, "real", "swd", 10 * nima, direction="lower"))
        for i, face in enumerate(FACES):
            picture(tmp_path / "run" / "images" / str(list(METHODS).index(method)) / "real" / f"{face}.png", 16, 20 * i)
    for i, face in enumerate(FACES):
        picture(tmp_path / "run" / "images/lr/real" / f"{face}.png", 4, 20 * i)
    folder = tmp_path / "run"
    pd.DataFrame(rows).to_csv(folder / "results.csv", index=False)
    models = [
        {"label": m, "name": m, "variant": "", "images": str(i), "degradation": ""} for i, m in enumerate(METHODS)
    ]
    (folder / "run.json").write_text(json.dumps({"key": "k", "methods": models, "conditions": ["real"]}))
    return folder
