"""How a model is trained: batches, steps, the loop."""

import os

# Fabric reads them as it is imported, wherever it runs; in some jobs they are there without a number.
for _name in ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK"):
    if not os.environ.get(_name, "0").isdecimal():
        del os.environ[_name]
