"""How similar the filters of a layer are: by what they respond to in images (Fig. 1 and 9), and by their weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ...utils.json_content import without_nan
from ..network.layers import convolutions, depth
from ..network.loader import Network
from .guided_backprop import guided_patterns, map_widths

KINDS = ('patterns', 'weights')
BINS = np.linspace(-1, 1, 81)  # of the histograms


@dataclass(frozen=True)
class LayerSimilarity:
    """The pairwise similarity of some filters of one layer.

    Attributes:
        layer: Name of the layer in the backbone.
        depth: Where it stands among the backbone's convolutions, from 0, the first, to 1, the last.
        kind: 'patterns', guided back-propagation averaged over images, or 'weights'.
        count: How many filters the layer has: output channels for patterns; for weights the filters that it stores,
            which is B times fewer for a tied layer.
        filters: Which of them were chosen, (n,).
        matrix: Cosine similarity of each pair, (n, n); NaN for a filter whose vector is 0.
    """

    layer: str
    depth: float
    kind: str
    count: int
    filters: np.ndarray
    matrix: np.ndarray

    @property
    def pairs(self) -> np.ndarray:
        """The similarity of each pair of two filters once, without NaN."""
        values = self.matrix[np.triu_indices(len(self.matrix), 1)]
        return values[~np.isnan(values)]

    @property
    def dead(self) -> int:
        """Filters whose vector is 0: that no image excites."""
        return int(np.isnan(np.diag(self.matrix)).sum())

    @property
    def mean(self) -> float:
        """The mean similarity of the pairs; NaN if there is none."""
        return float(self.pairs.mean()) if self.pairs.size else float('nan')

    def histogram(self) -> np.ndarray:
        """Return the density of the pairs' similarity in the ``BINS``: its integral is 1 (0 if there is no pair)."""
        held, _ = np.histogram(self.pairs, BINS)
        return held / max(1, held.sum()) / np.diff(BINS)


@dataclass(frozen=True)
class FilterSimilarity:
    """The similarities of a network's filters, layer by layer in the order of the network."""

    name: str
    patterns: list[LayerSimilarity]
    weights: list[LayerSimilarity]

    def records(self) -> list[dict]:
        """Return a flat dictionary for each layer and kind, for a table."""
        return [
            dict(
                network=self.name,
                kind=one.kind,
                layer=one.layer,
                depth=round(one.depth, 4),
                filters=one.count,
                compared=len(one.filters),
                dead=one.dead,
                mean=one.mean,
                std=float(one.pairs.std()) if one.pairs.size else float('nan'),
            )
            for one in (*self.patterns, *self.weights)
        ]

    def to_dict(self) -> dict:
        """Return everything, for json: records, histograms and matrices; None for NaN."""
        layers = []
        for one, record in zip((*self.patterns, *self.weights), self.records()):
            chosen = dict(indices=one.filters.tolist(), histogram=one.histogram().tolist())
            layers.append(without_nan(record | chosen | dict(matrix=one.matrix.round(5).tolist())))
        return dict(network=self.name, bin_edges=BINS.tolist(), layers=layers)


def filter_similarity(
    network: Network,
    layers: Sequence[str],
    pixels: Tensor | None = None,
    filters: int = 64,
    batch_size: int = 8,
    seed: int = 0,
    quiet: bool = True,
) -> FilterSimilarity:
    """Compare filters of chosen layers, each with each.

    Args:
        network: Of :func:`~mmtied.analysis.network.loader.load_network`.
        layers: Names in its backbone: convolutions, or other modules that return maps; these have no weights.
        pixels: Images (N, 3, H, H) in RGB from 0 to 255. Defaults to None: only weights are compared.
        filters: How many of a layer's filters are chosen at random. They bound time and memory: a pass backward for
            each of them and batch, and 12 H² bytes. Defaults to 64.
        batch_size: Images of a pass. Defaults to 8.
        seed: Of the choice, which is the same for layers of the same size. Defaults to 0.
        quiet: Whether to show no progress bar. Defaults to True.

    Raises:
        ValueError: If ``filters`` is less than 2, a layer returns no map, or there is nothing to compare.
    """
    if filters < 2:
        raise ValueError(f'filters={filters} must be at least 2: pairs are compared')
    if pixels is None and not set(layers) & set(convolutions(network)):
        raise ValueError(f'{network.name}: {", ".join(layers)}: only convolutions have weights; others need images')
    modules = {name: network.backbone.get_submodule(name) for name in layers}
    order = convolutions(network)
    result = FilterSimilarity(network.title, [], [])
    if pixels is not None:
        try:
            widths = map_widths(network.backbone, modules, network.normalise(pixels[:1]))
        except ValueError as error:
            raise ValueError(f'{network.name}: {error}') from error
        starts = range(0, len(pixels), batch_size)
        with tqdm(total=len(layers) * len(starts), desc=network.name, unit='batch', disable=quiet) as bar:
            for name, layer in modules.items():
                bar.set_postfix_str(name)
                chosen = sample_filters(widths[name], filters, seed)
                batches = (network.normalise(pixels[start : start + batch_size]) for start in starts)
                patterns = guided_patterns(network.backbone, layer, batches=ticking(batches, bar), filters=chosen)
                result.patterns.append(
                    compare('patterns', name, order=order, count=widths[name], chosen=chosen, vectors=patterns)
                )
    for name, layer in modules.items():
        if isinstance(layer, nn.Conv2d):
            chosen = sample_filters(len(layer.weight), filters, seed)
            result.weights.append(
                compare(
                    'weights', name, order=order, count=len(layer.weight), chosen=chosen, vectors=layer.weight[chosen]
                )
            )
    return result


def sample_filters(count: int, wanted: int, seed: int) -> np.ndarray:
    """Return the indices of some filters, chosen at random, sorted."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:wanted])


def ticking(batches: Iterable[Tensor], bar: tqdm) -> Iterator[Tensor]:
    """Yield the batches, and tell a progress bar when each is done with."""
    for batch in batches:
        yield batch
        bar.update()


def compare(
    kind: str, layer: str, order: Sequence[str], count: int, chosen: np.ndarray, vectors: Tensor
) -> LayerSimilarity:
    """Compare filters that are given as rows of tensors, each with each."""
    return LayerSimilarity(
        layer, depth(layer, order), kind=kind, count=count, filters=chosen, matrix=cosine_similarity(vectors)
    )


def cosine_similarity(vectors: Tensor) -> np.ndarray:
    """Return the cosine similarity of each pair of rows, (n, n) from (n, ...); NaN for rows of zeros."""
    rows = vectors.detach().flatten(1).double()
    norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    rows = rows / norms.where(norms > 0, torch.nan)
    products = rows @ rows.T
    # The product of a matrix and its transpose may sum the two halves in different orders; their mean is symmetric.
    return ((products + products.T) / 2).clamp(-1, 1).cpu().numpy()
