"""Tied and deployed networks under every tracer of torch: the graphs compute what the networks do."""

import copy

import pytest
import torch
from mmcv.cnn import ConvModule
from mmengine.model.efficient_conv_bn_eval import turn_on_efficient_conv_bn_eval
from small_networks import BACKBONES, outputs, trained
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from mmtied.deploy import deploy
from mmtied.layers import TiedConv2d, TiedLinear
from mmtied.tying import tie_model

FORMS = {'tied': lambda network: network, 'deployed': deploy}
LAYERS = [TiedConv2d(8, 16, 3, padding=1, blocks=4), TiedConv2d(8, 8, 3, blocks=2, groups=2, bias=False)]
LAYERS += [TiedConv2d(8, 8, 3, padding=1, blocks=2, padding_mode='reflect')]


# Deployed, they differ in their plugins and in split attention alone.
CASES = [(name, 'tied') for name in BACKBONES]
CASES += [(name, 'deployed') for name in ('tiedresnet-gcb', 'tiedsenet', 'tiedresnest')]


def every(test):
    return pytest.mark.parametrize('name, form', CASES)(test)


def network_and_image(name: str, form: str):
    return FORMS[form](trained(BACKBONES[name]())), torch.randn(2, 3, 64, 64)


def same(found, wanted, **tolerance) -> None:
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, **tolerance or dict(rtol=1e-5, atol=1e-5))


@every
def test_fx(name, form):
    network, image = network_and_image(name, form)
    traced = torch.fx.symbolic_trace(network)
    same(traced(image), network(image))
    larger = torch.randn(1, 3, 96, 64)
    same(traced(larger), network(larger))


@every
def test_feature_extractor(name, form):
    network, image = network_and_image(name, form)
    nodes = [f'layer{i}.1.relu' for i in (1, 2)]
    found = create_feature_extractor(network, nodes)(image)
    same(found.values(), network(image))


@every
def test_torchscript(name, form, tmp_path):
    network, image = network_and_image(name, form)
    for make in (lambda: torch.jit.trace(network, image), lambda: torch.jit.script(network)):
        scripted = make()
        torch.jit.save(scripted, tmp_path / 'net.pt')
        same(torch.jit.load(tmp_path / 'net.pt')(image), network(image))


@every
def test_export(name, form):
    network, image = network_and_image(name, form)
    height = torch.export.Dim('height', min=2, max=64)
    exported = torch.export.export(network, (image,), dynamic_shapes=({2: 32 * height},))
    same(exported.module()(image), network(image))
    larger = torch.randn(2, 3, 128, 64)
    same(exported.module()(larger), network(larger))


@every
def test_compile_forward_and_backward(name, form):
    """The graph and its backward pass; the code that the default backend makes of it takes two minutes a network."""
    network, image = network_and_image(name, form)
    network.train(form == 'tied')
    plain = copy.deepcopy(network)
    torch._dynamo.reset()
    compiled = torch.compile(network, fullgraph=True, backend='aot_eager')
    found, wanted = compiled(image), plain(image)
    same(found, wanted, rtol=1e-4, atol=1e-4)
    for outs in (found, wanted):
        sum(out.square().mean() for out in outs).backward()
    own = dict(network.named_parameters())
    for key, parameter in plain.named_parameters():
        torch.testing.assert_close(own[key].grad, parameter.grad, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('index', range(len(LAYERS)))
@pytest.mark.parametrize('folds', [False, True])
def test_layers(index, folds):
    layer = copy.deepcopy(LAYERS[index])
    layer.folds = folds and layer.groups == 1
    image = torch.randn(2, 8, 9, 7)
    wanted = layer(image)
    torch._dynamo.reset()
    for graph in (
        torch.fx.symbolic_trace(layer),
        torch.jit.script(layer),
        torch.jit.trace(layer, image),
        torch.compile(layer, fullgraph=True),
        torch.export.export(layer, (image,)).module(),
    ):
        torch.testing.assert_close(graph(image), wanted)


LAYOUTS = {
    'contiguous': lambda x: x,
    'channels last': lambda x: x.contiguous(memory_format=torch.channels_last),
    'sliced': lambda x: x.repeat_interleave(2, 1)[:, ::2],
    'permuted': lambda x: x.permute(1, 3, 0, 2).contiguous().permute(2, 0, 3, 1),
}
RECORDERS = {
    'trace': torch.jit.trace,
    'export': lambda layer, x: torch.export.export(layer, (x,)).run_decompositions().module(),
    'strict export': lambda layer, x: torch.export.export(layer, (x,), strict=True).run_decompositions().module(),
    'make_fx': lambda layer, x: torch.fx.experimental.proxy_tensor.make_fx(layer)(x),
}


@pytest.mark.parametrize('recorder', RECORDERS)
@pytest.mark.parametrize('folds', [False, True])
def test_a_graph_of_one_layout_holds_for_others(recorder, folds):
    layer = copy.deepcopy(LAYERS[0])
    layer.folds = folds
    image = torch.randn(2, 8, 9, 7)
    wanted = layer(image)
    for lay_out in LAYOUTS.values():
        graph = RECORDERS[recorder](layer, lay_out(image))
        for other in LAYOUTS.values():
            torch.testing.assert_close(graph(other(image)), wanted)


def test_a_compiled_layer_folds_without_a_copy():
    """The compiler looks at the layout itself."""
    layer, graphs = copy.deepcopy(LAYERS[0]), []
    layer.folds = True
    torch._dynamo.reset()
    torch.compile(layer, fullgraph=True, backend=lambda graph, _: graphs.append(graph) or graph)(
        torch.randn(2, 8, 9, 7)
    )
    assert 'flatten' in str(graphs[0].graph)
    assert 'clone' not in str(graphs[0].graph)


def test_linear_layer():
    layer, x = TiedLinear(8, 16, blocks=4), torch.randn(3, 5, 8)
    for graph in (torch.fx.symbolic_trace(layer), torch.jit.script(layer), torch.export.export(layer, (x,)).module()):
        torch.testing.assert_close(graph(x), layer(x))


@pytest.mark.parametrize('name', BACKBONES)
def test_runners_efficient_norms(name):
    """What mmengine's Runner does with `efficient_conv_bn_eval=['backbone']`, and mmcv with a ConvModule's own."""
    network, image = network_and_image(name, 'tied')
    wanted = [out.detach() for out in network(image)]
    own = copy.deepcopy(network)
    holder = nn.Module()
    holder.backbone = network
    turn_on_efficient_conv_bn_eval(holder, ['backbone'])
    same(holder.backbone(image), wanted, rtol=1e-4, atol=1e-4)
    count = 0
    for module in own.modules():
        if isinstance(module, ConvModule):
            module.turn_on_efficient_conv_bn_eval(True)
            count += module.efficient_conv_bn_eval_forward is not None
    assert count > 15
    found = own(image)
    same(found, wanted, rtol=1e-4, atol=1e-4)
    found[-1].mean().backward()
    assert all(p.grad is not None for key, p in own.named_parameters() if key.endswith('entry.conv.weight'))


def test_efficient_norms_of_a_tied_network():
    from torchvision.models import resnet18

    network = resnet18(num_classes=4)
    tie_model(network, {'layer[34].*.conv[12]': 2})
    network = trained(network)
    image = torch.randn(1, 3, 64, 64)
    wanted = outputs(network, image)
    holder = nn.Module()
    holder.net = network
    turn_on_efficient_conv_bn_eval(holder, ['net'])
    same(outputs(network, image), wanted, rtol=1e-4, atol=1e-4)


def test_dynamic_quantisation():
    network, image = network_and_image('tiedsenet', 'deployed')
    quantised = torch.ao.quantization.quantize_dynamic(network, {nn.Linear})
    wanted, found = network(image)[-1], quantised(image)[-1]
    assert (found - wanted).abs().max() < 0.1 * wanted.abs().max()


def test_fx_quantisation():
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    network, image = network_and_image('tiedresnet', 'deployed')
    prepared = prepare_fx(network, get_default_qconfig_mapping('x86'), (image,))
    prepared(image)
    quantised = convert_fx(prepared)
    wanted, found = network(image)[-1], quantised(image)[-1]
    assert (found - wanted).abs().mean() < 0.2 * wanted.abs().mean()
