"""Let checkpoints of mmengine's runner load with torch's safe loading on.

Since torch 2.6, ``torch.load`` refuses every class that is not on its list. A runner's checkpoint holds, besides
tensors, its log: mmengine's history buffers of numpy arrays. These classes only hold data, so they are put on the
list, and loading stays safe for everything else.
"""

from __future__ import annotations

import numpy as np
import torch
from mmengine.logging import HistoryBuffer


def allow_runner_checkpoints() -> None:
    """Put what mmengine's runner writes on the list of torch's safe loading."""
    if not hasattr(torch.serialization, 'add_safe_globals'):
        return  # Before torch 2.4 there is no list, and runner checkpoints load.
    torch.serialization.add_safe_globals([HistoryBuffer, np.ndarray, np.dtype])
