"""Guided back-propagation against a backward pass written out, and against pytorch-grad-cam's."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from pytorch_grad_cam import GuidedBackpropReLUModel
from torch import Tensor, nn

from mmtied.analysis.similarity.guided_backprop import GuidedReLUs, guided_patterns, map_widths


class Tiny(nn.Module):
    """Three convolutions with ReLUs between them, called in one of several ways."""

    def __init__(self, relu=F.relu) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(*channels, 3, padding=1) for channels in ((3, 6), (6, 5), (5, 4)))
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.convs[0](x))
        x = self.relu(self.convs[1](x))
        return self.convs[2](x)


def written_out(network: Tiny, images: Tensor, channel: int) -> Tensor:
    """The pattern of a filter of the last layer, averaged over images: one image and one layer at a time."""
    patterns = []
    for image in images.split(1):
        inputs = [image]
        for conv in network.convs:
            inputs.append(F.conv2d(inputs[-1].clamp(min=0) if len(inputs) > 1 else image, conv.weight, conv.bias, 1, 1))
        signal = torch.zeros_like(inputs[3])
        signal[:, channel] = (inputs[3][:, channel] > 0).float()
        for index in (2, 1, 0):
            signal = F.conv_transpose2d(signal, network.convs[index].weight, padding=1)
            if index:
                signal = signal * (inputs[index] > 0) * (signal > 0)
        patterns.append(signal)
    return torch.cat(patterns).mean(0)


RELUS = {
    'function': F.relu,
    'function in place': lambda x: F.relu(x, inplace=True),
    'module': nn.ReLU(),
    'module in place': nn.ReLU(inplace=True),
    'method': lambda x: x.relu(),
    'in place, result unused': lambda x: (x.relu_(), x)[1],
    'torch': torch.relu,
    'ReLU6 as a module': nn.ReLU6(inplace=True),
    'ReLU6 as a function': F.relu6,
}


@pytest.mark.parametrize('relu', RELUS.values(), ids=RELUS)
def test_equals_a_backward_pass_written_out(relu):
    network, images = Tiny(relu).eval(), torch.randn(5, 3, 7, 9)
    patterns = guided_patterns(network, network.convs[2], images.split(2), [3, 0])
    for pattern, channel in zip(patterns, (3, 0)):
        torch.testing.assert_close(pattern, written_out(network, images, channel).detach())
    assert not torch.equal(patterns, ordinary_gradients(network, images, [3, 0]))


def ordinary_gradients(network: Tiny, images: Tensor, channels: list[int]) -> Tensor:
    images = images.requires_grad_()
    out = network(images)
    scores = (out * (out > 0)).sum((0, 2, 3))
    return torch.stack([torch.autograd.grad(scores[c], images, retain_graph=True)[0].mean(0) for c in channels])


def test_relu6_stops_gradients_above_6():
    network, images = Tiny(nn.ReLU6()).eval(), 20 * torch.randn(2, 3, 7, 7)
    pattern = guided_patterns(network, network.convs[2], [images], [1])
    assert not torch.allclose(pattern[0], written_out(network, images, 1))


def test_equals_pytorch_grad_cam():
    """That library replaces the modules of the network; here a score for every filter is put behind it."""

    class Scores(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            y = self.network(x)
            return (y * (y > 0)).sum((2, 3))

    network = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 6, 3),
        nn.ReLU(),
        nn.Conv2d(6, 4, 1),
    ).eval()
    image = torch.randn(1, 3, 20, 20)
    ours = guided_patterns(network, network[6], [image], range(4))
    for channel in range(4):
        theirs = GuidedBackpropReLUModel(Scores(network))(image.clone(), channel)
        torch.testing.assert_close(ours[channel], torch.from_numpy(theirs).permute(2, 0, 1))


def test_the_network_stays_as_it_is():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3), nn.ReLU(inplace=True)).eval()
    x = torch.randn(2, 3, 9, 9)
    before = network(x)
    guided_patterns(network, network[2], [x], [0])
    assert torch.equal(network(x), before)
    assert all(module.inplace for module in network if isinstance(module, nn.ReLU))
    assert not any(module._forward_hooks or module._backward_hooks for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
    # And gradients are ordinary ones again.
    x.requires_grad_()
    y = F.relu(-x)
    y.backward(-torch.ones_like(y))
    assert (x.grad[x < 0] == 1).all()


def test_what_follows_in_place_does_not_change_the_layer():
    """As in a residual block, whose last norm gets the shortcut added in place."""

    class Added(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            y += 100 * x
            return F.relu_(y)

    network, x = Added(), torch.randn(1, 3, 5, 5)
    y = network.conv(x)
    active = (y > 0).float()
    wanted = torch.stack([network.conv.weight[c] * active[0, c] for c in range(3)])
    torch.testing.assert_close(guided_patterns(network, network.conv, [x], range(3)), wanted.detach())


def test_a_layer_in_two_places_sums_its_responses():
    conv = nn.Conv2d(3, 3, 1, bias=False)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x) + self.conv(2 * x)

    x = torch.randn(2, 3, 4, 4)
    network = Twice()
    with pytest.warns(UserWarning, match='runs no ReLU'):
        once = guided_patterns(conv, conv, [x], [1])
    with pytest.warns(UserWarning, match='runs no ReLU'):
        twice = guided_patterns(network, conv, [x], [1])
    torch.testing.assert_close(twice, 3 * once)


def test_other_activations_are_left_alone():
    x = torch.randn(2, 3, requires_grad=True)
    with GuidedReLUs() as relus:
        y = F.leaky_relu(x) + F.silu(x) + F.hardtanh(x, -1.0, 1.0)
    assert relus.count == 0
    (guided,) = torch.autograd.grad(-y.sum(), x)
    (plain,) = torch.autograd.grad(-(F.leaky_relu(x) + F.silu(x) + F.hardtanh(x, -1.0, 1.0)).sum(), x)
    assert torch.equal(guided, plain)


def test_a_network_without_relus_is_warned_of_and_no_other():
    network, plain = Tiny(), Tiny(F.silu)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        for one in (network, plain):
            guided_patterns(one, one.convs[0], [torch.randn(1, 3, 5, 5)], [0])
    ours = [str(warning.message) for warning in caught if 'ReLU' in str(warning.message)]
    assert len(ours) == 1 and ours[0].startswith('Tiny runs no ReLU')


def test_widths_and_what_has_none():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(36, 2), nn.Module())
    layers = dict(network.named_children())
    images = torch.randn(1, 3, 5, 5)
    network.forward = lambda x: network[2](network[1](network[0](x)))
    assert map_widths(network, {'0': network[0]}, images) == {'0': 4}
    with pytest.raises(ValueError, match=r'layer 2: returns \(1, 2\) and not a map'):
        map_widths(network, {name: layers[name] for name in '02'}, images)
    with pytest.raises(ValueError, match='layer 3: images do not pass it'):
        map_widths(network, {'3': layers['3']}, images)
    with pytest.raises(ValueError, match='does not depend on the image'):
        detached = nn.Sequential(nn.Conv2d(3, 2, 1)).requires_grad_(False)
        detached.forward = lambda x: detached[0](x.detach())
        guided_patterns(detached, detached[0], [images], [0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_on_cuda():
    network, images = Tiny().eval(), torch.randn(3, 3, 7, 7)
    wanted = guided_patterns(network, network.convs[2], [images], [0, 2])
    found = guided_patterns(network.cuda(), network.convs[2], [images.cuda()], [0, 2])
    torch.testing.assert_close(found.cpu(), wanted, rtol=1e-3, atol=1e-4)
