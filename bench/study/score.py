"""What votes say: mean opinion rank, agreement between people, tests of pairs, correlation with every metric."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.core import stats
from bench.core.results import read_table
from bench.study.votes import Votes

RESAMPLES = 2000


def score(votes: Votes, run: Path | None, condition: str, record: dict[str, Any] | None = None) -> dict[str, Any]:
    """Everything as plain values, the methods from the best rank to the worst; metrics where a run is given."""
    mor = np.nanmean(votes.ranks, axis=(0, 1))
    low, high = interval(votes.ranks)
    order = np.argsort(mor, kind="stable")
    p = pairs(votes.ranks)
    methods = [{"method": votes.methods[i], "mor": float(mor[i]), "ci_low": float(low[i]), "ci_high": float(high[i])}
               for i in order]  # fmt: skip
    tests = [{"first": votes.methods[i], "second": votes.methods[j], "p": float(p[i, j])}
             for a, i in enumerate(order) for j in order[a + 1 :]]  # fmt: skip
    answered = np.isfinite(votes.ranks).all(2)
    return {
        "condition": condition, "people": len(votes.people), "faces": int(answered.any(0).sum()),
        "rankings": int(answered.sum()), "methods": methods, "pairs": tests, "agreement": agreement(votes.ranks),
        "correlations": correlations(votes, run, condition, record or {}) if run else [], "notes": votes.said,
    }  # fmt: skip


def interval(ranks: np.ndarray, level: float = 0.95, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(methods,) each: the interval of the mean rank over people and faces, both drawn again with replacement.

    The pigeonhole bootstrap (Owen 2007): a person's and a face's weights multiply, so that the interval holds for other
    people and other faces.
    """
    people, faces, _ = ranks.shape
    rng = np.random.default_rng(seed)
    a = rng.multinomial(people, np.full(people, 1 / people), RESAMPLES).astype(float)
    b = rng.multinomial(faces, np.full(faces, 1 / faces), RESAMPLES).astype(float)
    there = np.isfinite(ranks).all(2)
    total = np.einsum("bp,bf,pfk->bk", a, b, np.where(there[..., None], ranks, 0.0), optimize=True)
    count = np.einsum("bp,bf,pf->b", a, b, there.astype(float), optimize=True)
    kept = count > 0
    low, high = np.quantile(total[kept] / count[kept, None], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def kendall_w(ranks: np.ndarray) -> float:
    """Kendall's coefficient of concordance of (raters, items) ranks, 0 to 1, corrected for ties (Kendall and Smith 1939)."""
    m, k = ranks.shape
    sums = ranks.sum(0)
    ties = sum(float((counts**3 - counts).sum()) for row in ranks for counts in [np.unique(row, return_counts=True)[1]])
    below = m * m * (k**3 - k) - m * ties
    return float(12 * ((sums - sums.mean()) ** 2).sum() / below) if below else float("nan")


def agreement(ranks: np.ndarray) -> dict[str, Any]:
    """Kendall's W: of people on a face, mean over the faces that two or more ranked; and of people's mean ranks."""
    from scipy.stats import rankdata

    there = np.isfinite(ranks).all(2)
    per_face = [kendall_w(ranks[there[:, f], f]) for f in range(ranks.shape[1]) if there[:, f].sum() > 1]
    means = np.array([rankdata(ranks[i, there[i]].mean(0)) for i in range(len(ranks))])
    alike = stats.friedman(means) if len(means) > 1 else float("nan")
    return {
        "within_faces": _plain(float(np.mean(per_face))) if per_face else None, "faces": len(per_face),
        "of_means": _plain(kendall_w(means)) if len(means) > 1 else None, "p": _plain(alike),
    }  # fmt: skip


def pairs(ranks: np.ndarray) -> np.ndarray:
    """(methods, methods) p of Wilcoxon's signed-rank test of the faces' mean ranks over people, Holm's correction."""
    per_face = np.stack([face[np.isfinite(face).all(1)].mean(0) for face in ranks.transpose(1, 0, 2)
                         if np.isfinite(face).all(1).any()])  # fmt: skip
    return stats.compare(per_face, "lower").p


def correlations(votes: Votes, run: Path, condition: str, record: dict[str, Any]) -> list[dict[str, Any]]:
    """Each metric of the run against the people: Spearman's correlation over methods, and within faces where it has
    values of single faces (mean over faces). Turned so that 1 means: the metric orders methods as people do.
    """
    from scipy.stats import spearmanr

    table = read_table(run)
    table = table[(table["status"] == "ok") & (table["condition"] == condition) & (table["method"] != "")]
    keys = {(str(m.get("name", m["label"])), str(m.get("variant", "")), str(m["degradation"])): m["label"]
            for m in record["methods"]}  # fmt: skip
    labels = [keys.get(key, "") for key in zip(table["method"], table["variant"], table["degradation"], strict=True)]
    table = table.assign(label=labels)
    table = table[table["label"].isin(votes.methods)]
    mor = np.nanmean(votes.ranks, axis=(0, 1))
    with np.errstate(invalid="ignore"):
        opinions = {face: np.nanmean(votes.ranks[:, f], axis=0) for f, face in enumerate(votes.faces)
                    if np.isfinite(votes.ranks[:, f]).all(1).any()}  # fmt: skip
    found = []
    for metric, group in table.groupby("metric", sort=False):
        if ".level" in str(metric):
            continue
        sign = -1.0 if group["direction"].iloc[0] == "higher" else 1.0
        whole = (
            group[group["image"].fillna("") == ""].drop_duplicates("label").set_index("label")["value"].astype(float)
        )
        values = whole.reindex(votes.methods).to_numpy()
        over = _spearman(spearmanr, sign * values, mor) if len(whole) > 2 else None
        single = group[group["image"].isin(list(opinions))]
        inside: list[float] = []
        if len(single):
            wide = single.pivot_table(index="image", columns="label", values="value").reindex(columns=votes.methods)
            each = [_spearman(spearmanr, sign * wide.loc[face].to_numpy(), opinions[face]) for face in wide.index]
            inside = [r for r in each if r is not None]
        if over is not None or inside:
            found.append({"metric": str(metric), "methods": over, "within_faces": float(np.mean(inside)) if inside else None,
                          "n_methods": int(np.isfinite(values).sum()), "n_faces": len(inside)})  # fmt: skip
    return found


def _spearman(test: Any, one: np.ndarray, other: np.ndarray) -> float | None:
    both = np.isfinite(one) & np.isfinite(other)
    one, other = one[both], other[both]
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return _plain(float(test(one, other).statistic))


def _plain(value: float) -> float | None:
    return value if np.isfinite(value) else None
