"""What a workload reports, and how time is taken.

A capability adds a workload by putting a function that returns one into `bench.workloads.WORKLOADS`.
"""

import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
import scipy


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One measured workload.

    Attributes
    ----------
    ours
        In `unit`.
    peers
        What others reach, in the same unit.
    ratios
        Speed-up over the peer, above 1 is better.
    floor
        Figures to reach: by peer a ratio; ``ours`` names a bound of our own figure.
    reached
        Whether every figure of `floor` is.
    """

    name: str
    title: str
    unit: str
    ours: float
    peers: Mapping[str, float]
    floor: Mapping[str, float]
    higher_is_better: bool = True
    notes: Mapping[str, float] = field(default_factory=dict)

    @property
    def ratios(self) -> dict[str, float]:
        """Speed-up over each peer."""
        up = self.higher_is_better
        return {name: self.ours / value if up else value / self.ours for name, value in self.peers.items()}

    @property
    def reached(self) -> bool:
        """Whether every figure to reach was reached."""
        return all(self._reached(name, bound) for name, bound in self.floor.items())

    def _reached(self, name: str, bound: float) -> bool:
        if name == "ours":
            return self.ours >= bound if self.higher_is_better else self.ours <= bound
        # a peer that is not installed was not beaten, nor lost to
        return name not in self.peers or self.ratios[name] >= bound

    def record(self) -> dict[str, Any]:
        """Return the workload as `bench --json` prints it."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": self.ours,
            "peers": dict(self.peers),
            "ratios": self.ratios,
            "floor": dict(self.floor),
            "reached": self.reached,
            "notes": dict(self.notes),
        }


def seconds(*candidates: Callable[[], object], rounds: int = 5, wall: bool = False) -> list[float]:
    """Return the least time of each candidate over `rounds`, taken in turn so that all meet the same load.

    Processor time of this process, unless `wall`: a second thread only shows on the clock on the wall.
    """
    clock = time.perf_counter if wall else time.process_time
    best = [float("inf")] * len(candidates)
    for candidate in candidates:
        candidate()
    for _ in range(rounds):
        for number, candidate in enumerate(candidates):
            start = clock()
            candidate()
            best[number] = min(best[number], clock() - start)
    return best


def call_seconds(*candidates: Callable[[], object], calls: int = 5_000, rounds: int = 7) -> list[float]:
    """Return the least mean time per call of each candidate, for calls too short to time alone."""

    def repeated(candidate: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(calls):
                candidate()

        return run

    return [each / calls for each in seconds(*map(repeated, candidates), rounds=rounds)]


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "processor": llvm.get_host_cpu_name(),
        "avx512": bool(llvm.get_host_cpu_features().get("avx512f", False)),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.system(),
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "numba": numba.__version__,
        "peak_memory_mb": round(peak_memory_mb()),
    }


def peak_memory_mb() -> float:
    """Return the most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():
        # the kernel's rusage would carry over the peak of the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return float(line.split()[1]) / 1024.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0 * 1024.0) if sys.platform == "darwin" else peak / 1024.0
