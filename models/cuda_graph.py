"""The CUDA graph: a pass recorded once per batch size and replayed by a single call.

At batch 1 a pass of a hundred small kernels costs mostly their launches; replayed they cost
nothing. Windows and embeddings travel through pinned memory inside the graph. Used by the thread
that owns the encoder; the interpreter is let go while it waits for the device.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

N_WARM_UPS = 3
"""Passes before recording, in which libraries choose their kernels and take their memory."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Recording:
    """A recorded pass, with the pinned memory it reads and writes."""

    graph: torch.cuda.CUDAGraph
    windows: Tensor
    embeddings: Tensor


class CudaGraphs:
    """Embeds windows in the host's memory by replaying recorded passes.

    Parameters
    ----------
    embed
        The pass on the device, from windows [shape=(n, window_frames), float32] to embeddings.
    window_frames
        Length of a window.
    """

    def __init__(self, embed: Callable[[Tensor], Tensor], window_frames: int) -> None:
        self._embed = embed
        self._window_frames = window_frames
        self._recordings: dict[int, _Recording] = {}

    @torch.inference_mode()
    def __call__(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed windows [shape=(n, window_frames), float32]; records where n is new."""
        if len(windows) not in self._recordings:
            self._recordings[len(windows)] = self._record(len(windows))
        recording = self._recordings[len(windows)]
        recording.windows.numpy()[:] = windows
        recording.graph.replay()
        torch.cuda.current_stream().synchronize()
        embeddings: NDArray[np.float32] = recording.embeddings.numpy().copy()
        return embeddings

    def _record(self, n: int) -> _Recording:
        windows = torch.zeros((n, self._window_frames)).pin_memory()
        device_windows = windows.cuda()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(N_WARM_UPS):
                dim = self._embed(device_windows).shape[1]
        torch.cuda.current_stream().wait_stream(side)
        embeddings = torch.zeros((n, dim)).pin_memory()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            device_windows.copy_(windows, non_blocking=True)
            embeddings.copy_(self._embed(device_windows), non_blocking=True)
        return _Recording(graph=graph, windows=windows, embeddings=embeddings)
