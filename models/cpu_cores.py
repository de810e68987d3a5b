"""CPU cores: a batch shared out to threads, each of which embeds its windows on one core.

Inside a pass many products are too small for two cores (oneDNN gives those with 768 results a row
to one), and what lies between them is done by one; passes side by side keep all cores busy. A
single window has all cores to itself. Used by the thread that owns the encoder, which waits; the
other threads live as long as the encoder.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

Windows = NDArray[np.float32]


class CpuCores:
    """Embeds windows in the host's memory, several at once.

    Parameters
    ----------
    embed
        A pass, from windows [shape=(n, window_frames)] to embeddings; safe on several threads.
    n_threads
        CPU threads, at least 2.
    """

    def __init__(self, embed: Callable[[Windows], Windows], n_threads: int) -> None:
        self._embed = embed
        self._n_threads = n_threads
        self._pool = ThreadPoolExecutor(n_threads, "cpu-cores", torch.set_num_threads, (1,))

    def __call__(self, windows: Windows) -> Windows:
        """Embed windows [shape=(n, window_frames), float32]."""
        if len(windows) == 1:
            return self._embed(windows)
        shares = np.array_split(windows, min(self._n_threads, len(windows)))
        embeddings = np.concatenate(list(self._pool.map(self._embed, shares)))
        torch.set_num_threads(self._n_threads)  # what the pool's threads say counts for new ones
        return embeddings
