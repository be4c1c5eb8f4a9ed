"""A probe of the claim that tied filters are less redundant: small networks trained on scikit-learn's digits."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from ...models import TiedResNet
from ..network.loader import Network

SIZE = 32
UNTIED = dict(splits=1, base_width=64, blocks=(1,), entry_blocks=1, shortcut_blocks=1, mixer='none')
NETWORKS: dict[str, dict[str, Any]] = {'ResNet-26 mini': UNTIED, 'TiedResNet-26 mini': {}}


class Classifier(nn.Module):
    """A backbone, the mean over its last maps, and a fully connected layer for ten digits."""

    def __init__(self, backbone: nn.Module, channels: int) -> None:
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x)[-1].mean((2, 3)))


def read_digits() -> tuple[Tensor, Tensor]:
    """Return pixels (N, 3, 32, 32) from 0 to 255 and labels (N,)."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ValueError(
            'the digits come with scikit-learn, which is not installed: pip install scikit-learn'
        ) from error
    digits = load_digits()
    pixels = torch.from_numpy(digits.images * (255 / 16)).float()[:, None]
    pixels = F.interpolate(pixels, (SIZE, SIZE), mode='bilinear')
    return pixels.round().byte().expand(-1, 3, -1, -1), torch.from_numpy(digits.target)


def train(network: Network, pixels: Tensor, labels: Tensor, epochs: int) -> None:
    """Train with AdamW, 64 images a step, and a learning rate that falls along a cosine."""
    model = network.model.train()
    steps = epochs * -(-len(pixels) // 64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    with tqdm(total=steps, desc=network.name, unit='step') as bar:
        for _ in range(epochs):
            for rows in torch.randperm(len(pixels)).split(64):
                loss = F.cross_entropy(model(network.normalise(pixels[rows])), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                bar.set_postfix(loss=f'{float(loss.detach()):.3f}')
                bar.update()
    model.eval()


def make_network(name: str) -> Network:
    """Return one of ``NETWORKS`` with random weights and a head for ten digits."""
    backbone = TiedResNet(depth=26, base_channels=16, **NETWORKS[name])
    backbone.init_weights()
    model = Classifier(backbone, channels=16 * 32)
    return Network(
        name, kind='classifier', model=model, backbone=backbone, mean=(127.5,) * 3, std=(127.5,) * 3, random=None
    )


def accuracy(network: Network, pixels: Tensor, labels: Tensor) -> float:
    """Return how many percent of the images a trained network tells right."""
    with torch.no_grad():
        found = torch.cat([network.model(network.normalise(batch)).argmax(1) for batch in pixels.split(64)])
    return 100 * float((found == labels).float().mean())
