"""Stands for a repository that knows nothing of bench: its network takes BGR in [-1, 1], as its authors trained it."""

import torch
from torch import nn


class FaceNet(nn.Module):
    def __init__(self, opt):
        super().__init__()
        n = opt["n_feats"]
        self.head = nn.Conv2d(3, n, 3, 1, 1)
        self.body = nn.Sequential(
            *[nn.Sequential(nn.Conv2d(n, n, 3, 1, 1), nn.PReLU()) for _ in range(opt["n_blocks"])]
        )
        self.tail = nn.Sequential(
            nn.Conv2d(n, 3 * opt["scale"] ** 2, 3, 1, 1), nn.PixelShuffle(opt["scale"]), nn.Tanh()
        )

    def forward(self, x):
        y = self.head(x)
        return self.tail(y + self.body(y))


class CharbonnierLoss(nn.Module):
    def forward(self, x, y):
        return torch.sqrt((x - y) ** 2 + 1e-6).mean()
