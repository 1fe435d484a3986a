"""The clusters that bench starts by itself: options in brackets to the arguments of Dask's own classes."""

from __future__ import annotations

import inspect
import logging
import os
import re
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar

from bench import plugins
from bench.core.spec import nearest, override, parse
from bench.errors import UsageError
from bench.grid.settings import duration

# Of glibc, for workers: bytes from which on freed memory goes back to the system. By Dask's values, and by glibc's own in a
# process that trains beside other threads, every step gives its memory back and has it cleared again.
ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": 2**30, "MALLOC_MMAP_THRESHOLD_": 2**25}
LISTS = ("job_extra_directives", "job_script_prologue", "job_directives_skip", "worker_extra_args")  # joined by +


class Cluster:
    """A place where tasks run. A site's own subclasses this, and names it with the hook ``bench_clusters``."""

    @dataclass(frozen=True)
    class Params:
        """No options."""

    def __init__(self, params: Any = None, further: dict[str, Any] | None = None) -> None:
        self.params: Any = self.Params() if params is None else params
        self.further = further or {}

    @classmethod
    def accepts(cls) -> set[str]:
        """Names of further options, which go to Dask's class as they are."""
        return set()

    @property
    def gpus(self) -> bool | None:
        """Whether its workers have a GPU; None where this machine's answer is theirs."""
        return None

    @property
    def threads(self) -> int | None:
        """How many threads each of its workers computes with on a CPU; None where only a worker knows."""
        return None

    def start(self) -> Any:
        """A ``distributed.deploy.Cluster`` with its workers on their way, or a scheduler's address."""
        raise NotImplementedError


class Address(Cluster):
    """A scheduler that runs somewhere: ``tcp://HOST:PORT``. Its workers need this environment and the same folders."""

    gpus = True

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address

    def start(self) -> str:
        return self.address


def cluster_of(text: str) -> Cluster:
    """From ``slurm[partition=gpu,jobs=16]`` or an address. Raises UsageError for unknown names and options."""
    if "://" in text:
        if not re.fullmatch(r"(tcp|tls|ucx|wss?)://[^/\s]+:\d+", text):
            raise UsageError(f"--cluster {text}: write an address as tcp://HOST:PORT")
        return Address(text)
    spec = parse(text)
    cls = plugins.load("clusters", spec.name)
    own, further = {f.name for f in cls.Params.__dataclass_fields__.values()}, cls.accepts()
    for name, _ in spec.options:
        if name not in own | further:
            raise UsageError(f"--cluster {spec.name}: no option {name!r}{nearest(name, own | further)}")
    options = dict(spec.options)
    params = override(cls.Params(), {k: v for k, v in options.items() if k in own}, f"--cluster {spec.name}")
    possible(spec.name, vars(params))
    return cls(params, {k: value(k, v) for k, v in options.items() if k not in own})


FORMS = {
    "memory": (r"\d+(\.\d+)? ?([kKMGTP]i?)?B?", "a size, as in 8GB"),
    "disk": (r"\d+(\.\d+)? ?([kKMGTP]i?)?B?", "a size, as in 4GB"),
    "walltime": (r"\d+(\.\d+)? ?[smh]?|(\d+-)?\d+(:\d\d){0,2}", "a length of time, as in 90m, 24h or 1-00:00:00"),
}


def possible(name: str, given: dict[str, Any]) -> None:
    """Raises UsageError for what no queue can give: it would be waited for without end."""
    for option, found in given.items():
        low = 1 if option in ("jobs", "cpus") else 0
        if isinstance(found, int) and found < low:
            raise UsageError(f"--cluster {name}: {option}={found} is not a whole number from {low} on")
        form, wanted = FORMS.get(option, ("", ""))
        if form and (not re.fullmatch(form, str(found)) or not re.search("[1-9]", str(found))):
            raise UsageError(f"--cluster {name}: {option}={found} is not {wanted}")


def value(name: str, text: str) -> Any:
    """An engine's own option as the type that it looks like."""
    if name in LISTS:
        return text.split("+")
    if text.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[text.lower()]
    return int(text) if text.isdecimal() else text


def module(name: str) -> Any:
    """A module of the extra ``cluster``. Raises UsageError where it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError(f"--jobs and --cluster need {error.name}: pip install 'face-sr-bench[cluster]'") from None


def dashboard() -> str | None:
    """Where a scheduler shows its pages: any free port; nowhere without bokeh."""
    return ":0" if find_spec("bokeh") else None


# ---------------------------------------------------------------- this machine, and others by ssh


class Local(Cluster):
    """Processes of this machine, one GPU each where there are GPUs; its cores are shared out."""

    @dataclass(frozen=True)
    class Params:
        jobs: int = 2  # processes
        threads: int = 0  # of each; 0: this machine's cores (or OMP_NUM_THREADS) shared out

    @property
    def threads(self) -> int:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        given = os.environ.get("OMP_NUM_THREADS", "")
        return self.params.threads or (int(given) if given.isdecimal() else max(1, cores // self.params.jobs))

    def start(self) -> Any:
        distributed = module("distributed")
        jobs = self.params.jobs
        if jobs < 1:
            raise UsageError(f"--jobs {jobs}: a whole number from 1 on")
        workers = {}
        for index in range(jobs):
            environment = {f"{name}_NUM_THREADS": str(self.threads) for name in ("OMP", "MKL", "OPENBLAS")}
            if gpus := visible_gpus():
                environment["CUDA_VISIBLE_DEVICES"] = gpus[index % len(gpus)]
            options = {
                "nthreads": 1,
                "name": index,
                "memory_limit": 0,
                "host": "127.0.0.1",
                "env": environment,
                "silence_logs": logging.CRITICAL,
            }
            workers[index] = {"cls": distributed.Nanny, "options": options}
        place = {"host": "127.0.0.1", "port": 0, "dashboard_address": dashboard()}
        return distributed.SpecCluster(
            workers, {"cls": distributed.Scheduler, "options": place}, name="bench", silence_logs=logging.CRITICAL
        )


def visible_gpus() -> list[str]:
    """As CUDA_VISIBLE_DEVICES names them."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name.strip()]
    return [str(index) for index in range(import_module("torch").cuda.device_count())]


class Ssh(Cluster):
    """Machines that ssh reaches without a password and that see the same folders; the scheduler runs on the first."""

    @dataclass(frozen=True)
    class Params:
        hosts: tuple[str, ...] = ()  # a+b+c
        jobs: int = 1  # processes on each
        gpus: int = 0

    @classmethod
    def accepts(cls) -> set[str]:
        return {"remote_python"}

    @property
    def gpus(self) -> bool:
        return self.params.gpus > 0

    def start(self) -> Any:
        if not self.params.hosts:
            raise UsageError("--cluster ssh: name machines, as in ssh[hosts=a+b]")
        module("asyncssh")
        logging.getLogger("distributed.deploy.ssh").setLevel(logging.WARNING)  # it repeats what every worker says
        hosts = [self.params.hosts[0], *self.params.hosts]
        options = {"nthreads": 1, "n_workers": self.params.jobs, "memory_limit": 0}
        return module("distributed").SSHCluster(
            hosts, worker_options=options, scheduler_options={"dashboard_address": dashboard()}, **self.further
        )


# ---------------------------------------------------------------- queues


MEMORY = ("MEMORY__PAUSE", "MEMORY__TERMINATE")  # the queue itself ends what takes too much


class Queue(Cluster):
    """Jobs of a queue, one worker each; as many as there is work for, at most ``jobs``."""

    engine: ClassVar[str] = ""  # the class of dask_jobqueue

    @dataclass(frozen=True)
    class Params:
        jobs: int = 1  # at most
        cpus: int = 1  # of each job
        gpus: int = 0
        memory: str = "8GB"
        walltime: str = "1h"

    @property
    def gpus(self) -> bool:
        return self.params.gpus > 0

    @property
    def threads(self) -> int:
        return int(self.params.cpus)

    @classmethod
    def accepts(cls) -> set[str]:
        job = getattr(module("dask_jobqueue"), cls.engine).job_cls
        names = {n for c in job.__mro__ for n in inspect.signature(c.__init__).parameters}
        return names - {
            "self",
            "args",
            "kwargs",
            "base_class_kwargs",
            "scheduler",
            "name",
            "cores",
            "memory",
            "processes",
        }

    def arguments(self) -> dict[str, Any]:
        """What this queue is asked for beside what all are."""
        return {}

    def options(self) -> dict[str, Any]:
        """The arguments of the engine: what all queues are asked for, what this one is, and the further ones."""
        p, asked = self.params, self.arguments()
        directives = [*asked.pop("job_extra_directives", []), *self.further.get("job_extra_directives", [])]
        threads = [f"export {name}_NUM_THREADS={p.cpus}" for name in ("OMP", "MKL", "OPENBLAS")]
        worker = [f"export DASK_DISTRIBUTED__WORKER__{name}=False" for name in ("DAEMON", *MEMORY)]
        nanny = {"distributed": {"nanny": {"pre-spawn-environ": ALLOCATOR}}}
        worker.append(f"export DASK_INTERNAL_INHERIT_CONFIG={module('dask').config.serialize(nanny)}")
        prologue = [*worker, *threads, *self.further.get("job_script_prologue", [])]
        return {
            "cores": 1, "processes": 1, "memory": p.memory, "walltime": clock(p.walltime), "job_name": "bench", **asked,
            **self.further,
            "job_extra_directives": directives, "job_script_prologue": prologue,
        }  # fmt: skip

    def start(self) -> Any:
        engine = getattr(module("dask_jobqueue"), self.engine)
        place = {"dashboard_address": dashboard()}
        cluster = engine(**self.options(), scheduler_options=place, silence_logs=logging.CRITICAL)
        cluster.adapt(minimum_jobs=0, maximum_jobs=self.params.jobs, target_duration="1s", interval="1s")
        return cluster


def clock(text: str) -> str:
    """24h as 24:00:00; what a queue writes itself (1-00:00:00) stays."""
    if not re.fullmatch(r"[\d.]+\s*[smh]?", text):
        return text
    seconds = round(duration(text))
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


class Slurm(Queue):
    engine = "SLURMCluster"

    @dataclass(frozen=True)
    class Params(Queue.Params):
        partition: str = ""
        warning: int = 60  # seconds before the walltime at which a training writes its checkpoint

    def arguments(self) -> dict[str, Any]:
        p = self.params
        directives = [f"--signal=B:TERM@{p.warning}", *([f"--gres=gpu:{p.gpus}"] if p.gpus else [])]
        python = f"exec {sys.executable}"  # in the shell's place, since Slurm's warning goes to the batch script alone
        return {"queue": p.partition or None, "job_cpu": p.cpus, "job_extra_directives": directives, "python": python}


class Pbs(Queue):
    engine = "PBSCluster"

    @dataclass(frozen=True)
    class Params(Queue.Params):
        queue: str = ""

    def arguments(self) -> dict[str, Any]:
        p = self.params
        gpus = f":ngpus={p.gpus}" if p.gpus else ""
        return {"queue": p.queue or None, "resource_spec": f"select=1:ncpus={p.cpus}:mem={p.memory}{gpus}"}


class Lsf(Queue):
    engine = "LSFCluster"

    @dataclass(frozen=True)
    class Params(Queue.Params):
        queue: str = ""

    def arguments(self) -> dict[str, Any]:
        p = self.params
        gpus = [f'-gpu "num={p.gpus}"'] if p.gpus else []
        hours = re.sub(r"^(\d+:\d\d):\d\d$", r"\1", clock(p.walltime))  # without seconds
        return {"queue": p.queue or None, "ncpus": p.cpus, "walltime": hours, "job_extra_directives": gpus}


class Sge(Queue):
    engine = "SGECluster"

    @dataclass(frozen=True)
    class Params(Queue.Params):
        queue: str = ""
        gpu_resource: str = "gpu"  # what this site calls it
        parallel: str = "smp"  # its parallel environment of one machine, for several cpus

    def arguments(self) -> dict[str, Any]:
        p = self.params
        gpus = [f"-l {p.gpu_resource}={p.gpus}"] if p.gpus else []
        cpus = [f"-pe {p.parallel} {p.cpus}"] if p.cpus > 1 else []
        return {"queue": p.queue or None, "job_extra_directives": [*cpus, *gpus]}


class HtCondor(Queue):
    engine = "HTCondorCluster"

    @dataclass(frozen=True)
    class Params(Queue.Params):
        disk: str = "4GB"

    def options(self) -> dict[str, Any]:
        p, asked = self.params, super().options()
        del asked["walltime"]
        directives = dict(text.split("=", 1) for text in asked.pop("job_extra_directives"))
        gpus = {"request_gpus": str(p.gpus)} if p.gpus else {}
        more = {"+MaxRuntime": str(round(duration(p.walltime)))}
        one = [*self.further.get("worker_extra_args", []), "--nthreads", "1"]  # task at a time, with all cores
        return {
            **asked, "cores": p.cpus, "disk": p.disk, "worker_extra_args": one,
            "job_extra_directives": {**more, **gpus, **directives},
        }  # fmt: skip


class Oar(Queue):
    engine = "OARCluster"

    @dataclass(frozen=True)
    class Params(Queue.Params):
        queue: str = ""

    def arguments(self) -> dict[str, Any]:
        p = self.params
        what = f"gpu={p.gpus}" if p.gpus else f"core={p.cpus}"
        return {"queue": p.queue or None, "resource_spec": f"/nodes=1/{what}"}
