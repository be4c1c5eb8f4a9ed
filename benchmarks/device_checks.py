"""Tied layers on a device against themselves on the CPU: each form, memory layout, precision and way to run them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, nn

from mmtied.deploy import deploy
from mmtied.layers import TiedConv2d, TiedGCB, TiedLinear, TiedSE
from mmtied.models import TiedResNet

LAYOUTS = {'contiguous': torch.contiguous_format, 'channels last': torch.channels_last}
# The largest difference that rounding explains, as a share of the largest value. Single precision sums up to 288
# products of 24 bits; mixed precision rounds what goes into a product, and what comes out of it, to 11 and 8 bits.
TOLERANCE = {'float64': 1e-12, 'float32': 1e-5, 'float16': 4e-3, 'bfloat16': 3e-2}
OUTPUT, OF_INPUT, OF_PARAMETERS = PARTS = ('output', 'gradient of the input', 'gradients of the parameters')


def context_block() -> nn.Module:
    """Return a TiedGCB whose last weights are not the zeros that it starts with."""
    block = TiedGCB(64, ratio=1 / 4)
    nn.init.normal_(block.channel_add_conv[3].weight, std=0.1)
    block.conv_mask.bias.requires_grad_(False)  # No output depends on it: a softmax follows.
    return block


def network() -> nn.Module:
    """Return a small backbone with all tied layers that bottlenecks have."""
    backbone = TiedResNet(26, base_channels=16, num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,))
    backbone.eval()  # Not chained: mmdet's backbones return None.
    return backbone


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    'TiedConv2d, 3x3, B=4': (lambda: TiedConv2d(32, 64, 3, padding=1, blocks=4), (2, 32, 14, 14)),
    'TiedConv2d, 1x1, B=2, stride 2': (lambda: TiedConv2d(64, 32, 1, stride=2, blocks=2), (2, 64, 14, 14)),
    'TiedConv2d, 3x3, B=2, reflected': (
        lambda: TiedConv2d(32, 32, 3, padding=1, padding_mode='reflect', bias=False, blocks=2),
        (2, 32, 14, 14),
    ),
    'TiedConv2d, 3x3, B=2, G=2': (lambda: TiedConv2d(32, 32, 3, padding=1, groups=2, blocks=2), (2, 32, 14, 14)),
    'TiedLinear, B=4': (lambda: TiedLinear(64, 32, blocks=4), (4, 7, 64)),
    'TiedSE, B=2': (lambda: TiedSE(64, ratio=4, blocks=2), (2, 64, 14, 14)),
    'TiedGCB, B=2': (context_block, (2, 64, 14, 14)),
    'TiedResNet-26': (network, (2, 3, 64, 64)),
    'TiedResNet-26, deployed': (lambda: deploy(network()), (2, 3, 64, 64)),
}


@dataclass(frozen=True)
class Case:
    """A layer as it is run on the device.

    Attributes:
        layer: A key of ``LAYERS``.
        form: Of tied convolutions, 'folded' or 'repeated'; '' without any.
        layout: Of features and filters, a key of ``LAYOUTS``.
        precision: A key of ``TOLERANCE``; half precisions are those of autocast.
        way: 'eager', 'scripted' or 'compiled'.
    """

    layer: str
    form: str
    layout: str = 'contiguous'
    precision: str = 'float32'
    way: str = 'eager'

    def __str__(self) -> str:
        how = ', '.join(filter(None, (self.form, self.layout, self.precision, self.way)))
        return f'{self.layer} ({how})'


@dataclass(frozen=True)
class Check:
    """What a case and the CPU differ by.

    Attributes:
        case: What was run.
        part: 'output', 'gradient of the input' or 'gradients of the parameters'.
        difference: The largest, as a share of the largest value on the CPU.
        tolerance: What it may be.
    """

    case: Case
    part: str
    difference: float
    tolerance: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'tolerance', TOLERANCE[self.case.precision])

    @property
    def passed(self) -> bool:
        return self.difference <= self.tolerance  # not for NaN

    def sentence(self) -> str:
        """Return what is wrong."""
        return f'{self.case}: {self.part} differs from the CPU by {self.difference:.1e}, more than {self.tolerance:.0e}'

    def row(self) -> dict:
        """Return the row of a table."""
        result = dict(part=self.part, difference=f'{self.difference:.2e}', tolerance=f'{self.tolerance:.0e}')
        return asdict(self.case) | result | dict(passed=self.passed)


def cases(device: torch.device, compiled: bool) -> list[Case]:
    """Return the cases of a device, the compiled ones or the others."""
    halves = ('float16', 'bfloat16') if device.type == 'cuda' else ('bfloat16',)
    found = []
    for layer, (make, shape) in LAYERS.items():
        module = make()
        forms = forms_of(module)
        layouts = LAYOUTS if len(shape) == 4 else [*LAYOUTS][:1]
        # In double precision, as what rounding does to a ReLU's sign grows from layer to layer.
        whole = layer.startswith('TiedResNet')
        for form in forms:
            if not compiled:
                for precision in ('float64',) if whole else ('float32', *halves):
                    found += [Case(layer, form, layout, precision) for layout in layouts]
            elif not whole:
                found += [Case(layer, form, layout, way='compiled') for layout in layouts]
                found.append(Case(layer, form, precision=halves[0], way='compiled'))
        if isinstance(module, TiedConv2d) and not compiled:
            found.append(Case(layer, form='repeated', way='scripted'))
    return found


def forms_of(layer: nn.Module) -> list[str]:
    """Return the forms that a layer's tied convolutions can take."""
    tied = [module for module in layer.modules() if isinstance(module, TiedConv2d)]
    folds = ['folded'] * any(module.groups == 1 for module in tied)
    return [*folds, 'repeated'] if tied else ['']


def check(case: Case, device: torch.device, backend: str) -> list[Check]:
    """Run a case on a device and on the CPU, and return how much each part differs.

    Args:
        case: One of :func:`cases`.
        device: Where it is run.
        backend: Of ``torch.compile``.
    """
    torch.manual_seed(0)
    make, shape = LAYERS[case.layer]
    layer, x = make(), torch.randn(shape)
    # On the CPU in double precision, in the form that the CPU takes.
    own = copy.deepcopy(layer).double()
    with torch.no_grad():
        along = torch.randn_like(last(own(x.double())))
    wanted = passes(own, own, x=x.double(), along=along, autocast=None)

    dtype = torch.float64 if case.precision == 'float64' else torch.float32
    layer = layer.to(device, dtype)
    x, along = x.to(device, dtype), along.to(device)
    if x.dim() == 4:
        x, layer = x.contiguous(memory_format=LAYOUTS[case.layout]), layer.to(memory_format=LAYOUTS[case.layout])
    for module in layer.modules():
        if isinstance(module, TiedConv2d):
            module.folds = case.form == 'folded' and module.groups == 1 and module.blocks > 1
    if case.way == 'compiled':
        torch._dynamo.reset()
        run = torch.compile(layer, fullgraph=True, backend=backend)
    else:
        run = torch.jit.script(layer) if case.way == 'scripted' else layer
    autocast = getattr(torch, case.precision) if case.precision in ('float16', 'bfloat16') else None
    with exact_products():
        found = passes(run, layer, x=x, along=along, autocast=autocast)
    return [Check(case, part, largest_difference(found[part], wanted[part])) for part in PARTS]


def passes(
    run: Callable[[Tensor], Tensor], layer: nn.Module, x: Tensor, along: Tensor, autocast: torch.dtype | None
) -> dict[str, list[Tensor]]:
    """Return output and gradients of a layer.

    Args:
        run: The layer, or what it was compiled to.
        layer: Whose parameters these are.
        x: The input.
        along: What the output is multiplied with before its sum is derived.
        autocast: The half precision, None for no autocast.
    """
    x = x.detach().requires_grad_()
    with torch.autocast(x.device.type, dtype=autocast, enabled=autocast is not None):
        y = last(run(x))
    trained = [parameter for parameter in layer.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(y, [x, *trained], along.to(y.dtype))
    return {OUTPUT: [y.detach()], OF_INPUT: [gradients[0]], OF_PARAMETERS: [*gradients[1:]]}


def last(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Return the output, of a backbone the last one."""
    return outputs if isinstance(outputs, Tensor) else outputs[-1]


def largest_difference(found: list[Tensor], wanted: list[Tensor]) -> float:
    """Return the largest difference of two tensors of a pair, as a share of the largest value of the wanted one."""
    pairs = [(one.double().cpu(), other) for one, other in zip(found, wanted, strict=True)]
    # Not Python's max, which NaN may pass by.
    return float(torch.stack([(one - other).abs().max() / other.abs().max() for one, other in pairs]).max())


@contextmanager
def exact_products() -> Iterator[None]:
    """Switch off TF32, which rounds single precision to 11 bits on a GPU."""
    backends = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [backend.allow_tf32 for backend in backends]
    try:
        for backend in backends:
            backend.allow_tf32 = False
        yield
    finally:
        for backend, allowed in zip(backends, before):
            backend.allow_tf32 = allowed


def wrong_choices(device: torch.device) -> list[str]:
    """Return a sentence for each move after which a layer is in another form than documented."""
    layer = TiedConv2d(8, 8, 3, blocks=2)
    moves: list[tuple[str, Callable[[], nn.Module], bool]] = [
        (f'to {device.type}', lambda: layer.to(device), device.type == 'cuda'),
        ('to channels last', lambda: layer.to(memory_format=torch.channels_last), False),
        ('back to contiguous', lambda: layer.to(memory_format=torch.contiguous_format), device.type == 'cuda'),
        ('to half precision', layer.half, device.type == 'cuda'),
        ('to the CPU', layer.cpu, False),
    ]
    wrong = []
    for name, move, folds in moves:
        if move().folds != folds:
            has, wanted = ('repeats', 'fold') if folds else ('folds', 'repeat')
            wrong.append(f'TiedConv2d moved {name}: it {has}, where it should {wanted}')
    return wrong
