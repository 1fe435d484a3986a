"""Clusters by name: options in brackets, what they become in a queue's script, answers to wrong ones."""

import pytest

pytest.importorskip("dask_jobqueue", reason="needs the extra cluster")

from bench.cluster.engines import Address, Local, cluster_of, value
from bench.errors import UsageError

SITE = '''
from dataclasses import dataclass
import bench
from bench.cluster.engines import Cluster, Local


class Ours(Local):
    """This site's own."""


@bench.hookimpl
def bench_clusters():
    return {"ours": Ours}
'''


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("slrum", "did you mean 'slurm'"),
        ("slurm[partitoin=gpu]", "no option 'partitoin'; did you mean 'partition'"),
        ("slurm[jobs=many]", "not a whole number"),
        ("slurm[accont=x]", "did you mean 'account'"),
        ("local[jobs=0]", "from 1 on"),
        ("ssh", "name machines"),
    ],
)
def test_wrong_names_and_options_are_answered(text, words):
    with pytest.raises(UsageError, match=words):
        cluster_of(text).start()


def test_brackets_become_the_directives_of_the_queue(monkeypatch):
    cluster = cluster_of("slurm[partition=gpu,gpus=2,cpus=8,memory=32GB,walltime=24h,jobs=16,account=faces]")
    asked = cluster.options()
    from dask_jobqueue.slurm import SLURMJob

    script = SLURMJob(
        "tcp://127.0.0.1:1", "0", **{k: v for k, v in asked.items() if k != "scheduler_options"}
    ).job_script()
    for line in (
        "-p gpu",
        "-A faces",
        "--cpus-per-task=8",
        "-t 24:00:00",
        "--gres=gpu:2",
        "--mem=30G",
        "--signal=B:TERM@60",
    ):
        assert f"#SBATCH {line}" in script, script
    assert cluster.gpus and cluster.params.jobs == 16 and "OMP_NUM_THREADS=8" in script


def test_an_engines_own_options_have_their_types():
    assert value("job_extra_directives", "--exclusive+--constraint=a100") == ["--exclusive", "--constraint=a100"]
    assert (value("death_timeout", "90"), value("nanny", "true"), value("interface", "ib0")) == (90, True, "ib0")


def test_an_address_is_a_cluster():
    assert isinstance(cluster_of("tcp://host:8786"), Address) and isinstance(cluster_of("local"), Local)


def test_a_sites_own_cluster_is_found_by_the_hook(bench, tmp_path):
    (tmp_path / "site.py").write_text(SITE)
    code, out, _ = bench("list", "clusters", "--plugin", tmp_path / "site.py")
    assert code == 0 and "ours" in out and "This site's own." in out
