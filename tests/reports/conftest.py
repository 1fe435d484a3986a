"""A run with every kind of table: four methods, two of which cannot be told apart, under two conditions."""

import json

import numpy as np
import pandas as pd
import pytest
from made_reports import FACES, METHODS, picture, row, rows_of


@pytest.fixture
def run(tmp_path):
    rng = np.random.default_rng(0)
    rows = [r for condition in ("bicubic", "real") for r in rows_of(condition, rng)]
    models = []
    for index, (method, gain) in enumerate(METHODS.items()):
        more = {"degradation": "high-to-low"} if method == "edge_net" else {}
        for part, value in (("", 1.5e9 * gain), (".parameters", 2e6 * gain), (".memory", 4096.0)):
            rows.append(
                row(method, "", f"cost{part}", value, n=1, ci_low=None, ci_high=None, direction="lower", **more)
            )
        speed = {} if method == "twin" else {"cost": {"faces_per_second": 1234.5 / (index + 1), "batch": 16.0}}
        models.append(
            {
                "label": method,
                "name": method,
                "images": method,
                "degradation": "",
                "measured": speed,
                "scale": 4,
                **more,
            }
        )
        for condition in ("bicubic", "real"):
            place = tmp_path / "figures/consistency" / method / condition
            listed = []
            for number, (face, label, of) in enumerate((f, c, o) for f in ("a", "b", "c") for c in ("clean", "noise")
                                                       for o in ("lr", "sr")):  # fmt: skip
                note = "31.4 dB" if (of, label) == ("sr", "noise") else ""
                listed.append({"group": face, "label": label, "of": of, "note": note, "file": f"{number}.png"})
                picture(place / f"{number}.png", 8, number)
            (place / "figures.json").write_text(json.dumps(listed))
    rows += [
        row("", name, "swd-lr", value, direction="lower") for name, value in (("bicubic", 296.2), ("noise", 280.0))
    ]
    rows += [row("", name, "swd-lr-gain", value) for name, value in (("bicubic", 0.0), ("noise", 16.2))]
    pd.DataFrame(rows).to_csv(tmp_path / "results.csv", index=False)
    data = {what: {"source": what, "train": 12, "test": FACES, "size": "32x32", "fingerprint": f"ab+{what}"}
            for what in ("hr", "lr")}  # fmt: skip
    record = {
        "methods": models,
        "conditions": ["bicubic", "real"],
        "device": "CPU, 2 threads",
        "preset": "quick",
        "data": data,
    }
    (tmp_path / "run.json").write_text(json.dumps(record))
    return tmp_path
