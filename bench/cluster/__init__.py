"""Where tasks run: on processes of this machine, on a queue's jobs, on any cluster that Dask reaches. No Dask at import."""

from bench.hookspecs import hookimpl


@hookimpl
def bench_clusters():
    """Listed by `bench list clusters`; each is imported when it is named."""
    return {
        "local": ("bench.cluster.engines:Local", "processes of this machine (--jobs N is local[jobs=N])"),
        "slurm": ("bench.cluster.engines:Slurm", "jobs of a Slurm queue"),
        "pbs": ("bench.cluster.engines:Pbs", "jobs of a PBS queue"),
        "lsf": ("bench.cluster.engines:Lsf", "jobs of an LSF queue"),
        "sge": ("bench.cluster.engines:Sge", "jobs of a Grid Engine queue"),
        "htcondor": ("bench.cluster.engines:HtCondor", "jobs of an HTCondor pool"),
        "oar": ("bench.cluster.engines:Oar", "jobs of an OAR queue"),
        "ssh": ("bench.cluster.engines:Ssh", "machines that ssh reaches without a password"),
    }
