"""What plugins are given is theirs: one that writes to it changes nothing for the others."""

import pandas as pd

SCRIBBLERS = '''

class Eager(Tiny):
    """Writes to all that it is given."""

    def prepare(self, data, run):
        for faces in (data.hr_train, data.hr_test, data.lr_train, data.lr_test):
            for size in faces.buckets:
                faces.buckets[size].zero_()
                faces.buckets[size].numpy()[:] = 7
            faces.names.clear()

    def step(self, batch, run):
        super().step(batch, run)
        batch.hr.zero_()
        batch.lr_real.zero_()

    def infer(self, lr):
        found = super().infer(lr).clone()
        lr.zero_()
        return found


class Gentle(bench.Degradation):
    def infer(self, hr, generator=None):
        return F.avg_pool2d(hr, self.scale)


class Rough(Gentle):
    def infer(self, hr, generator=None):
        lr = super().infer(hr, generator)
        hr.zero_()
        return lr


class First(bench.Metric):
    """Comes before the others and leaves nothing of what it is given."""

    needs = ("hr", "lr", "reference_hr")

    def protocol(self, outputs):
        return "none"

    def score(self, outputs):
        for images in (outputs.sr, outputs.hr, outputs.lr, outputs.reference_hr, outputs.held_out_hr):
            for image in images:
                try:
                    image[:] = 0
                except ValueError:
                    pass  # read-only
        for images in (outputs.sr, outputs.hr, outputs.lr, outputs.names, outputs.held_out_hr):
            images.clear()
        return bench.Score(0.0, n=1)
'''


def values(bench, folders, plugin, out, methods, metrics, conditions="gentle,noise") -> dict:
    code, _, err = bench(
        "run", "--plugin", plugin, "--methods", methods, "--metrics", metrics, "--hr", folders[0], "--lr", folders[1],
        "--conditions", conditions, "--device", "cpu", "--out", out, "--store", out.with_suffix(".store"), "--quiet",
    )  # fmt: skip
    assert code == 0, err
    table = pd.read_parquet(out / "results.parquet")
    table = table[table["method"].isin(["tiny", "bicubic"]) & (table["metric"] == "mae")]
    heads = table[["method", "condition", "metric", "image"]].replace("rough", "gentle")
    return dict(zip(heads.itertuples(index=False, name=None), table["value"], strict=True))


def test_writing_to_what_is_given_reaches_nobody_else(bench, folders, plugin, tmp_path):
    plugin.write_text(plugin.read_text() + SCRIBBLERS)
    alone = values(bench, folders, plugin, tmp_path / "alone", "tiny[steps=4,degradation=gentle],bicubic", "mae")
    assert len(alone) == 2 * 2 * 5
    for after in ("eager[steps=4,degradation=rough],tiny[steps=4,degradation=gentle],bicubic",
                  "eager[steps=4,degradation=gentle],tiny[steps=4,degradation=rough],bicubic"):  # fmt: skip
        out = tmp_path / f"after{len(after)}{'rough],tiny' in after}"
        assert values(bench, folders, plugin, out, after, "first,mae", "rough,noise") == alone
