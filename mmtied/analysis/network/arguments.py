"""How the commands that look into networks are told which: names, checkpoints, captions."""

from __future__ import annotations

import argparse

import torch

from .loader import Network, load_network


def add_networks(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name networks, for :func:`load_networks`."""
    parser.add_argument('networks', nargs='+', metavar='network', help='config or name')
    parser.add_argument(
        '--checkpoints', nargs='+', metavar='PATH', help='one for each network, none for random weights (default)'
    )
    parser.add_argument('--names', nargs='+', help="of the networks, for captions (default: the networks' own)")
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu', help='default: %(default)s')


def load_networks(args: argparse.Namespace) -> list[Network]:
    """Return the networks of the command line.

    Raises:
        ValueError: If one cannot be built or loaded, or checkpoints or names are not as many as networks, or two have
            one name.
    """
    for option in ('checkpoints', 'names'):
        given = getattr(args, option)
        if given and len(given) != len(args.networks):
            raise ValueError(f'--{option}: {len(given)} for {len(args.networks)} networks: {" ".join(args.networks)}')
    checkpoints = [None if path == 'none' else path for path in args.checkpoints or ['none'] * len(args.networks)]
    names = args.names or [None] * len(args.networks)
    networks = [load_network(*of_one, args.device) for of_one in zip(args.networks, checkpoints, names)]
    titles = [network.title for network in networks]
    for title in titles:
        if titles.count(title) > 1:
            raise ValueError(f'--names: several networks are called {title!r}; give a name for each')
    return networks
