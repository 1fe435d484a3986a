"""bench compare: what changed between two runs."""

import json

import numpy as np
import pandas as pd
import scipy.stats
from made_reports import row

from bench.cli import main


def run(folder, shift, **record):
    rng, rows = np.random.default_rng(0), []
    for method, change in {"a": shift, "b": 0.0}.items():
        values = rng.normal(20, 1, 12) + change + (0.1 * np.random.default_rng(9).normal(size=12) if change else 0)
        rows.append(row(method, "real", "psnr", float(values.mean())))
        rows += [row(method, "real", "psnr", float(v), image=f"f{i}", n=1) for i, v in enumerate(values)]
    rows.append(row("a", "real", "swd", 10.0 + shift, direction="lower", protocol=f"swd {bool(shift)}"))
    folder.mkdir()
    pd.DataFrame(rows).to_csv(folder / "results.csv", index=False)
    (folder / "run.json").write_text(json.dumps({"seed": 0, "preset": "quick", **record}))
    return str(folder)


def test_changes_are_tested_over_the_same_faces(tmp_path, capsys):
    one, other = run(tmp_path / "one", 0.0), run(tmp_path / "two", 0.5, seed=3)
    assert main(["compare", one, other, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"] == {"seed": [0, 3]}
    changed = {(c["method"], c["metric"]): c for c in found["changes"]}
    frames = [
        pd.read_csv(f"{f}/results.csv", keep_default_na=False).query("method == 'a' and image != ''")
        for f in (one, other)
    ]
    first, second = (f.value.to_numpy(float) for f in frames)
    expected = min(1, 2 * scipy.stats.wilcoxon(first, second).pvalue)  # two tests
    assert np.isclose(changed["a", "psnr"]["p"], expected) and changed["a", "psnr"]["better"] and expected < 0.05
    assert changed["b", "psnr"]["change"] == 0 and changed["b", "psnr"]["p"] == 1
    assert (
        changed["a", "swd"]["p"] is None
        and not changed["a", "swd"]["better"]
        and not changed["a", "swd"]["same_protocol"]
    )
    assert main(["compare", one, other]) == 0
    said = capsys.readouterr().out
    assert (
        "seed: 0 -> 3" in said
        and "better*" in said
        and "other protocol" in said
        and "1 of 3 values are the same" in said
    )
    assert main(["compare", one, str(tmp_path)]) == 2
