"""Decode steps as a CUDA graph: one launch a token in place of a few thousand, which take longer than what they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch

from rarl.engines.batch import DecodeBatch

Record = Callable[[Callable[[], None]], Callable[[], None]]  # from a step to what runs it again on the same memory


class Launches:
    """The steps of a batch with fixed shapes. The first step after a change of shapes runs by itself, which loads its
    kernels; the next is recorded, and from then on launched as a whole."""

    def __init__(self, batch: DecodeBatch, record: Record) -> None:
        self._batch, self._record = batch, record
        self._steps = 0
        self._shape: tuple[int, int] | None = None
        self._launch: Callable[[], None] | None = None

    def __call__(self) -> None:
        batch, language = self._batch, self._batch.language
        batch.make_room(self._steps)
        self._steps += 1
        if batch.shape != self._shape:
            self._shape, self._launch = batch.shape, None  # the graph before is gone when the next is recorded
            batch.advance()
            return
        if self._launch is None:
            counted = language.tokens_computed
            self._launch = self._record(batch.advance)
            language.tokens_computed = counted  # recorded, not computed
        self._launch()
        language.tokens_computed += batch.shape[0]


class CudaGraphs:
    """Records steps as CUDA graphs, one at a time: all use one pool of memory and one stream, which stay.

    A pool of its own for each would not be given back to the device: no memory can be freed while a graph is recorded.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        with torch.cuda.device(device):
            self._pool, self._stream = torch.cuda.MemPool(), torch.cuda.Stream()

    def __call__(self, step: Callable[[], None]) -> Callable[[], None]:
        """Record what `step` launches, without running it; what is returned runs it, on the same memory each time."""
        # Not torch.cuda.graph, which gives all cached memory back to the device beforehand: training wants it again.
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device):
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                graph.capture_begin(pool=cast(Any, self._pool.id), capture_error_mode="thread_local")
                step()
                graph.capture_end()
            torch.cuda.current_stream().wait_stream(self._stream)
        launch: Callable[[], None] = graph.replay
        return launch
