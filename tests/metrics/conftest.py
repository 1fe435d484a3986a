"""Fixtures of the metrics' tests: the network of FID with random weights."""

from unittest.mock import patch

import pytest
import torch


@pytest.fixture(scope="session")
def weights_of_fid():
    """Random weights in the shape of pytorch-fid's network."""
    from pytorch_fid import inception as package

    torch.manual_seed(0)
    with patch.object(package, "load_state_dict_from_url", lambda *_, **__: {}), \
         patch.object(package.torchvision.models.Inception3, "load_state_dict", lambda *_, **__: None):  # fmt: skip
        return package.fid_inception_v3().state_dict()
