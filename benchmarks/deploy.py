#!/usr/bin/env python3
"""Time the deployed form of networks beside ResNet-50 in every runtime: PyTorch, its compiler, ONNX Runtime, OpenVINO.

All networks of a runtime are timed in turns, so that drift cancels; figures are medians. A network's ratio is to
ResNet-50 in the same runtime, and to ResNet-50's best runtime for the best of its own. The ratio of multiply-adds
stands beside it: the floor, if time went by arithmetic alone.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from networks import BASE, NETWORKS, build
from torch import Tensor, nn
from tqdm import tqdm

from mmtied.analysis.machine import describe_machine
from mmtied.deploy import deploy, export_onnx
from mmtied.utils.complexity import complexity
from mmtied.utils.files import written_aside
from mmtied.utils.logs import log_warnings_only

Run = Callable[[], object]
SHAPES = ['1x224x224', '8x224x224', '1x800x1344', '8x800x1344']
COLUMNS = ['size', 'batch', 'runtime', 'network', 'ms', 'ratio', 'MACs ratio', 'best ratio']


def eager(network: nn.Module, images: Tensor, folder: Path) -> Run:
    """PyTorch as it is, with channels last."""
    network = network.to(memory_format=torch.channels_last)
    images = images.contiguous(memory_format=torch.channels_last)
    return lambda: network(images)


def compiled(network: nn.Module, images: Tensor, folder: Path) -> Run:
    """The default backend of torch's compiler, weights taken for constants."""
    torch._dynamo.reset()
    run = torch.compile(network, fullgraph=True)
    run(images)
    return lambda: run(images)


def onnx_runtime(network: nn.Module, images: Tensor, folder: Path) -> Run:
    """ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that wait for work without sleeping would take the cores of the networks that are timed in turns.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    path = onnx_file(network, images, folder)
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    feed = {session.get_inputs()[0].name: images.numpy()}
    return lambda: session.run(None, feed)


def openvino(network: nn.Module, images: Tensor, folder: Path) -> Run:
    """OpenVINO."""
    import openvino as ov

    path = onnx_file(network, images, folder)
    how = {'INFERENCE_NUM_THREADS': torch.get_num_threads(), 'PERFORMANCE_HINT': 'LATENCY'}
    core = ov.Core()
    model = core.read_model(str(path))
    model.reshape(list(images.shape))
    request = core.compile_model(model, 'CPU', how | {'INFERENCE_PRECISION_HINT': 'f32'}).create_infer_request()
    tensor = ov.Tensor(images.numpy())
    return lambda: request.infer([tensor])


def onnx_file(network: nn.Module, images: Tensor, folder: Path) -> Path:
    """Write the network for any number and size of images."""
    path = folder / f'{id(network)}.onnx'
    if not path.exists():
        export_onnx(network, path, dynamic=True)
    return path


RUNTIMES = {'eager': eager, 'compiled': compiled, 'onnxruntime': onnx_runtime, 'openvino': openvino}


def times(runs: dict[str, Run], repeats: int) -> dict[str, float]:
    """Return the median time of each in milliseconds, the first round left out."""
    rounds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            rounds[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(figures[1:]) for name, figures in rounds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--shapes', nargs='+', default=SHAPES, help=f'BATCHxHxW (default: {" ".join(SHAPES)})')
    parser.add_argument('--runtimes', nargs='+', choices=RUNTIMES, default=list(RUNTIMES), help='default: all')
    parser.add_argument('--networks', nargs='+', choices=NETWORKS, default=list(NETWORKS), help='default: all')
    parser.add_argument('--repeats', type=int, default=10)
    parser.add_argument('--out', type=Path, default=Path('benchmarks/results/deploy_cpu.csv'))
    args = parser.parse_args()
    log_warnings_only('deploy')
    torch._inductor.config.freezing = True
    names = [BASE, *(name for name in args.networks if name != BASE)]
    networks = {name: deploy(build(name)) for name in names}
    macs = {name: complexity(network, (224, 224)).macs for name, network in networks.items()}
    rows = []
    steps = len(args.shapes) * len(args.runtimes)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad(), tqdm(total=steps) as bar:
        for shape in args.shapes:
            batch, height, width = map(int, shape.split('x'))
            size = f'{height}x{width}'
            images = torch.randn(batch, 3, height, width)
            of_shape = {}
            for runtime in args.runtimes:
                start = RUNTIMES[runtime]
                runs = {name: start(network, images, Path(folder)) for name, network in networks.items()}
                of_shape[runtime] = times(runs, args.repeats)
                del runs
                bar.update()
            best = {name: min(one[name] for one in of_shape.values()) for name in names}
            for runtime, one in of_shape.items():
                rows += [
                    [size, batch, runtime, name, f'{one[name]:.1f}', f'{one[name] / one[BASE]:.3f}']
                    + [f'{macs[name] / macs[BASE]:.3f}', f'{best[name] / best[BASE]:.3f}']
                    for name in names
                ]
            for name in names:
                tqdm.write(f'{size} batch {batch} {name}: best {best[name] / best[BASE]:.3f} of {BASE}')
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(args.out) as part, part.open('w', newline='') as file:
        file.write(f'# {describe_machine("cpu")}\n')
        csv.writer(file, lineterminator='\n').writerows([COLUMNS, *rows])


if __name__ == '__main__':
    main()
