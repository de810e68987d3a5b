"""Ring: what it costs to hand audio blocks from one thread to another, and whether any is lost.

Peers: `queue.SimpleQueue`, `collections.deque`, and PortAudio's own ring through python-rtmixer
(where it finds the PortAudio library). Budget: a block every 2.67 ms (128 frames at 48 kHz) must be
handed over in well under 0.1 ms at p99, also while another thread spins on the GIL, and a full ring
must count what it turns away.

* Throughput: both threads as fast as they can. Every frame is checked afterwards.
* Latency: one block every 2.67 ms; from the push to the waiting thread's having it.
* Loss: four times the capacity pushed while nobody takes any.

How it could mislead: all Python-to-Python rows share one interpreter, so their throughput measures
mostly that; the row ``ring, kernels`` is what the audio path uses. With fewer cores than busy
threads the tails are the scheduler's.
"""

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numba import njit, types

from benchmarks._carriers import BLOCK_FRAMES, CAPACITY_BLOCKS, Carrier, SimpleQueue, carriers
from benchmarks._neighbours import gil_hogs
from benchmarks._run import Headline, run
from realtime.doorbell import Doorbell, ring_doorbell, wait_doorbell
from realtime.monotonic import monotonic_ns, sleep_ns
from realtime.ring import Ring, make_ring, pop, push, readable

PERIOD_NS = 2_666_667
RAMP = 2**20
KERNELS = "ring, kernels"

sched_yield = types.ExternalFunction("sched_yield", types.int32())


def throughput(make: Callable[[Any], Carrier], n_blocks: int) -> float:
    """Return blocks per second from a Python thread to another; every frame is checked."""
    carrier = make(np.float32)
    blocks = (np.arange(n_blocks * BLOCK_FRAMES) % RAMP).astype(np.float32)

    def produce() -> None:
        for start in range(0, len(blocks), BLOCK_FRAMES):
            while not carrier.push(blocks[start : start + BLOCK_FRAMES]):
                os.sched_yield()

    taken: list[Any] = []
    n_taken = 0
    producer = threading.Thread(target=produce)
    start_s = time.perf_counter()
    producer.start()
    while n_taken < len(blocks):
        block = carrier.pop()
        if block is None:
            os.sched_yield()
            continue
        taken.append(block)
        n_taken += len(block)
    duration_s = time.perf_counter() - start_s
    producer.join()
    assert np.array_equal(np.concatenate(taken), blocks)
    return n_blocks / duration_s


@njit(nogil=True, cache=True)
def _produce(ring: Ring, n_blocks: int) -> None:
    block = np.empty(BLOCK_FRAMES, np.float32)
    for start in range(0, n_blocks * BLOCK_FRAMES, BLOCK_FRAMES):
        for i in range(BLOCK_FRAMES):
            block[i] = (start + i) % RAMP
        while not push(ring, block):
            sched_yield()


@njit(nogil=True, cache=True)
def _consume(ring: Ring, n_blocks: int) -> int:
    block = np.empty(BLOCK_FRAMES, np.float32)
    frame = n_wrong = 0
    while frame < n_blocks * BLOCK_FRAMES:
        n = pop(ring, block)
        if n == 0:
            sched_yield()
        for i in range(n):
            n_wrong += block[i] != (frame + i) % RAMP
        frame += n
    return n_wrong


def kernel_throughput(n_blocks: int) -> float:
    """Return blocks per second from a nogil kernel to another; every frame is checked."""
    ring = make_ring(CAPACITY_BLOCKS * BLOCK_FRAMES, np.float32)[0].ring
    producer = threading.Thread(target=_produce, args=(ring, n_blocks))
    start_s = time.perf_counter()
    producer.start()
    assert _consume(ring, n_blocks) == 0
    duration_s = time.perf_counter() - start_s
    producer.join()
    return n_blocks / duration_s


def latency_us(make: Callable[[Any], Carrier], n_blocks: int) -> dict[str, float]:
    """Return percentiles from push to having it, Python thread to Python thread, by a bell."""
    carrier, bell = make(np.int64), Doorbell()
    waits_itself = isinstance(carrier, SimpleQueue)

    def produce() -> None:
        due_ns = time.monotonic_ns()
        for _ in range(n_blocks):
            due_ns += PERIOD_NS
            time.sleep(max(due_ns - time.monotonic_ns(), 0) / 1e9)
            carrier.push(np.full(BLOCK_FRAMES, time.monotonic_ns()))
            if not waits_itself:
                bell.ring()

    producer = threading.Thread(target=produce)
    producer.start()
    late_ns: list[int] = []
    while len(late_ns) < n_blocks:
        block = carrier.queue.get() if isinstance(carrier, SimpleQueue) else carrier.pop()
        if block is None:
            bell.wait()
            continue
        late_ns += (time.monotonic_ns() - block[::BLOCK_FRAMES]).tolist()
    producer.join()
    bell.close()
    return _percentiles_us(late_ns)


@njit(nogil=True, cache=True)
def _produce_paced(ring: Ring, write_fd: int, n_blocks: int) -> None:
    block = np.empty(BLOCK_FRAMES, np.int64)
    due_ns = monotonic_ns()
    for _ in range(n_blocks):
        due_ns += PERIOD_NS
        while monotonic_ns() < due_ns:
            sleep_ns(max(due_ns - monotonic_ns(), 0))
        block[:] = monotonic_ns()
        push(ring, block)
        ring_doorbell(write_fd)


@njit(nogil=True, cache=True)
def _consume_paced(ring: Ring, read_fd: int, late_ns: Any) -> None:
    block = np.empty(BLOCK_FRAMES, np.int64)
    n = 0
    while n < late_ns.size:
        while readable(ring)[1] < BLOCK_FRAMES:
            wait_doorbell(read_fd, -1)
        pop(ring, block)
        late_ns[n] = monotonic_ns() - block[0]
        n += 1


def kernel_latency_us(n_blocks: int) -> dict[str, float]:
    """Return the same percentiles from a nogil kernel to another."""
    ring, bell = make_ring(CAPACITY_BLOCKS * BLOCK_FRAMES, np.int64)[0].ring, Doorbell()
    late_ns = np.zeros(n_blocks, np.int64)
    producer = threading.Thread(target=_produce_paced, args=(ring, bell.write_fd, n_blocks))
    producer.start()
    _consume_paced(ring, bell.read_fd, late_ns)
    producer.join()
    bell.close()
    return _percentiles_us(late_ns.tolist())


def losses(make: Callable[[Any], Carrier]) -> dict[str, int]:
    """Push four times the capacity while nobody takes any; return where the blocks went."""
    carrier = make(np.float32)
    n_pushed = 4 * CAPACITY_BLOCKS
    accepted = [number for number in range(n_pushed) if carrier.push(np.full(128, number, "f4"))]
    kept: list[float] = []
    while (block := carrier.pop()) is not None:
        kept += block[::BLOCK_FRAMES].tolist()
    return {
        "kept": len(kept),
        "refused": n_pushed - len(accepted),
        "lost_silently": len(set(accepted) - {int(number) for number in kept}),
    }


def _percentiles_us(values_ns: list[int]) -> dict[str, float]:
    p50, p95, p99, largest = np.percentile(values_ns, [50, 95, 99, 100]) / 1000
    return {"p50": p50, "p95": p95, "p99": p99, "max": largest}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run everything and return the numbers."""
    n_blocks, n_paced = (1_000, 100) if options.quick else (20_000, 2_000)
    found = carriers()
    for make in found.values():  # warm up: compile and load
        throughput(make, 100)
        latency_us(make, 3)
    kernel_throughput(100)
    kernel_latency_us(3)
    rates = {name: throughput(make, n_blocks) for name, make in found.items()}
    rates[KERNELS] = kernel_throughput(20 * n_blocks)
    latency: dict[str, Any] = {}
    for n_hogs in (0, 1):
        with gil_hogs(n_hogs):
            rows = {name: latency_us(make, n_paced) for name, make in found.items()}
            rows[KERNELS] = kernel_latency_us(n_paced)
        latency[f"{n_hogs}_gil_hogs"] = rows
    return {
        "blocks_per_s": rates,
        "ratio_to_simple_queue": {name: r / rates["SimpleQueue"] for name, r in rates.items()},
        "latency_us": latency,
        "losses": {name: losses(make) for name, make in found.items()},
        "absent": sorted({"PortAudio ring"} - set(found)),
    }


def headlines(result: dict[str, Any]) -> Iterator[Headline]:
    """Pick what decides."""
    ratios = result["ratio_to_simple_queue"]
    yield Headline(
        name="ring between kernels, throughput to SimpleQueue's",
        value=ratios[KERNELS],
        unit="×",
        target=1,
        better="higher",
    )
    yield Headline(
        name="ring between Python threads, throughput to SimpleQueue's",
        value=ratios["ring"],
        unit="×",
    )
    for condition, rows in result["latency_us"].items():
        yield Headline(
            name=f"ring between kernels, hand-over p99, {condition.replace('_', ' ')}",
            value=rows[KERNELS]["p99"],
            unit="µs",
            target=100,
        )


def show(result: dict[str, Any]) -> None:
    """Print the answer for a reader."""
    print(f"{'carrier':16} {'blocks/s':>10} {'ratio':>6}   kept/refused/lost silently of 512")
    for name, rate in result["blocks_per_s"].items():
        losses_of = result["losses"].get(name, {})
        ratio = result["ratio_to_simple_queue"][name]
        print(f"{name:16} {rate:10,.0f} {ratio:6.2f}   {'/'.join(map(str, losses_of.values()))}")
    for condition, rows in result["latency_us"].items():
        print(f"\nhand-over in µs, {condition.replace('_', ' ')}: p50 / p95 / p99 / max")
        for name, row in rows.items():
            print(f"{name:16} " + " / ".join(f"{value:8.1f}" for value in row.values()))
    for name in result["absent"]:
        print(f"\n{name}: not here; it needs the PortAudio library")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    return run(__doc__, measure, show, headlines, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
