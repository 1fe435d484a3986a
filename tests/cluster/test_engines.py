"""Clusters by name: options in brackets, what they become in a queue's script, answers to wrong ones."""

import os
import re
import subprocess
import sys

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
        ("slurm[jobs=0]", "jobs=0 is not a whole number from 1 on"),
        ("lsf[cpus=0]", "cpus=0 is not a whole number from 1 on"),
        ("pbs[gpus=-1]", "gpus=-1 is not a whole number from 0 on"),
        ("slurm[walltime=forever]", "not a length of time"),
        ("sge[walltime=0h]", "not a length of time"),
        ("slurm[memory=lots]", "not a size"),
        ("htcondor[disk=some]", "not a size"),
        ("http://host:80", "tcp://HOST:PORT"),
        ("tcp://", "tcp://HOST:PORT"),
        ("ssh", "name machines"),
    ],
)
def test_wrong_names_and_options_are_answered(text, words):
    with pytest.raises(UsageError, match=words):
        cluster_of(text).start()


COMMON = "cpus=8,gpus=2,memory=32GB,walltime=24h,jobs=16"
SCRIPTS = {
    "slurm[partition=gpu,account=faces]": ["#SBATCH -p gpu", "#SBATCH -A faces", "#SBATCH --cpus-per-task=8",
                                          "#SBATCH -t 24:00:00", "#SBATCH --gres=gpu:2", "#SBATCH --mem=30G",
                                          "#SBATCH --signal=B:TERM@60", "\nexec "],
    "pbs[queue=gpu,account=faces]": ["#PBS -q gpu", "#PBS -A faces", "#PBS -l select=1:ncpus=8:mem=32GB:ngpus=2",
                                     "#PBS -l walltime=24:00:00"],
    "lsf[queue=gpu,project=faces,lsf_units=mb]": ["#BSUB -q gpu", '#BSUB -P "faces"', "#BSUB -n 8", "#BSUB -M 32000",
                                     "#BSUB -W 24:00\n", '#BSUB -gpu "num=2"', '#BSUB -R "span[hosts=1]"'],
    "sge[queue=gpu,project=faces,parallel=shm]": ["#$ -q gpu", "#$ -P faces", "#$ -l h_rt=24:00:00", "#$ -pe shm 8",
                                                  "#$ -l gpu=2"],
    "oar[queue=gpu,project=faces]": ["#OAR -q gpu", "#OAR --project faces", "#OAR -l /nodes=1/gpu=2,walltime=24:00:00"],
    "htcondor[disk=9GB,job_extra_directives=MY.Group=faces]": ["MY.DaskWorkerCores = 8", "MY.DaskWorkerMemory = 32000000000",
        "MY.DaskWorkerDisk = 9000000000", "request_gpus = 2", "+MaxRuntime = 86400", "MY.Group = faces"],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:OAR Job memory")
@pytest.mark.parametrize("text", SCRIPTS)
def test_brackets_become_the_directives_of_each_queue_and_a_worker_of_one_task(text):
    import dask_jobqueue

    cluster = cluster_of(text.replace("[", f"[{COMMON},"))
    job = getattr(dask_jobqueue, cluster.engine).job_cls
    script = job("tcp://127.0.0.1:1", "0", **cluster.options()).job_script()
    for line in SCRIPTS[text]:
        assert line in script, script
    assert cluster.gpus and cluster.threads == 8 and cluster.params.jobs == 16
    worker = next(line for line in script.splitlines() if "dask_worker" in line)
    assert worker.rpartition("--nthreads ")[2].split("'")[0].split()[0] == "1", (
        "tasks of one process share its folder and its run"
    )
    for line in (
        "export OMP_NUM_THREADS=8",
        "export DASK_DISTRIBUTED__WORKER__DAEMON=False",
        "MEMORY__TERMINATE=False",
    ):
        assert line in script, script


def test_a_jobs_worker_keeps_the_memory_that_a_training_frees():
    """What its process has from Dask's nanny, as where it is started here (test_local measures what that does)."""
    import dask_jobqueue

    script = dask_jobqueue.slurm.SLURMJob("tcp://127.0.0.1:1", "0", **cluster_of("slurm").options()).job_script()
    given = re.search(r"export DASK_INTERNAL_INHERIT_CONFIG=(\S+)", script)
    asked = "import dask, distributed; print(dask.config.get('distributed.nanny.pre-spawn-environ'))"
    ours = {**os.environ, "DASK_INTERNAL_INHERIT_CONFIG": given[1]}
    told = subprocess.run([sys.executable, "-c", asked], env=ours, capture_output=True, text=True, check=True).stdout
    assert "'MALLOC_TRIM_THRESHOLD_': 1073741824" in told and "'MALLOC_MMAP_THRESHOLD_': 33554432" in told, told


def test_a_task_asks_for_no_more_than_it_is_told():
    import dask_jobqueue

    for text in ("slurm", "pbs", "lsf[lsf_units=mb]", "sge"):
        cluster = cluster_of(text)
        job = getattr(dask_jobqueue, cluster.engine).job_cls
        script = job("tcp://127.0.0.1:1", "0", **cluster.options()).job_script()
        assert (
            "gpu:" not in script and "gpu=" not in script and "-pe " not in script and "OMP_NUM_THREADS=1" in script
        ), script
        assert not cluster.gpus


def test_an_engines_own_options_have_their_types():
    assert value("job_extra_directives", "--exclusive+--constraint=a100") == ["--exclusive", "--constraint=a100"]
    assert (value("death_timeout", "90"), value("nanny", "true"), value("interface", "ib0")) == (90, True, "ib0")


def test_an_address_is_a_cluster():
    assert isinstance(cluster_of("tcp://host:8786"), Address) and isinstance(cluster_of("local"), Local)


def test_a_sites_own_cluster_is_found_by_the_hook(bench, tmp_path):
    (tmp_path / "site.py").write_text(SITE)
    code, out, _ = bench("list", "clusters", "--plugin", tmp_path / "site.py")
    assert code == 0 and "ours" in out and "This site's own." in out
