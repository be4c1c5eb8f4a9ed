"""Which device an analysis runs on."""

import torch


def check_device(device: str) -> None:
    """Raise a ValueError if torch has no such device here."""
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device={device!r} is none that torch knows; 'cpu' and 'cuda' are") from error
    count = torch.cuda.device_count()
    if wanted.type == 'cuda' and (wanted.index or 0) >= count:
        raise ValueError(f'device={device!r}: torch sees {count} CUDA devices here')
