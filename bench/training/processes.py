"""The processes of one training on several devices."""

from __future__ import annotations

import os
import socket

from lightning_fabric.plugins.environments import LightningEnvironment


class OnThisMachine(LightningEnvironment):
    """The processes of one training: started by it, on this machine, whatever job or launcher it runs in itself.

    A queue's and a launcher's variables (SLURM_NTASKS, LOCAL_RANK, MASTER_PORT, ...) are about other processes than these.
    """

    creates_processes_externally = False
    main_address = "127.0.0.1"

    def __init__(self) -> None:
        super().__init__()
        self._starter = os.getpid()

    @property
    def main_port(self) -> int:
        if self._main_port == -1:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self._main_port = free.getsockname()[1]
        return self._main_port

    def local_rank(self) -> int:
        return 0 if os.getpid() == self._starter else super().local_rank()  # which Fabric sets where it starts one

    def node_rank(self) -> int:
        return 0
