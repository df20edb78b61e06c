"""How kernels are compiled: flags under which every machine returns the same bits.

``reassoc`` is left out, so a sum keeps the order in which it is written; the rest lets the compiler fuse a product into
the addition that follows, and assume that no NaN or infinity is about (the doors refuse them). Where the order of a sum
cannot change the answer (counts) or the answer is only a screen, `screening_kernel` compiles with all fast-math flags.

Nothing compiles at import: the first call does, and leaves its code in numba's cache beside the source.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
import numba

F = TypeVar("F", bound=Callable[..., Any])

REPRODUCIBLE = frozenset({"contract", "nnan", "ninf", "nsz", "arcp"})
"""LLVM fast-math flags of the official path."""


def _use_wide_vectors() -> None:
    """Let kernels use the full 512-bit registers where a processor has them; its tuning would prefer half of them.

    The results are the same either way, and Black-76 runs 1.7 times as fast (Cascade Lake). Whoever has chosen a
    target by NUMBA_CPU_NAME or NUMBA_CPU_FEATURES keeps it.
    """
    config: Any = numba.config
    features = llvm.get_host_cpu_features()
    if config.CPU_NAME is None and config.CPU_FEATURES is None and features.get("avx512f", False):
        config.CPU_FEATURES = features.flatten() + ",-prefer-256-bit"


_use_wide_vectors()


def kernel(function: F) -> F:
    """Compile `function` on first call, reproducibly; it may hold no Python object."""
    return cast("F", numba.njit(fastmath=set(REPRODUCIBLE), error_model="numpy", cache=True, nogil=True)(function))


def literal_kernel(function: F) -> F:
    """Compile `function` operation by operation as written: each rounds as the same line of Python or numpy would."""
    return cast("F", numba.njit(error_model="numpy", cache=True, nogil=True)(function))


def inlined(function: F) -> F:
    """Copy `function` into the kernels that call it, where it takes on their flags."""
    return cast("F", numba.njit(fastmath=set(REPRODUCIBLE), error_model="numpy", inline="always")(function))


def parallel_kernel(function: F) -> F:
    """Compile `function` with its `prange` loops spread over threads; each pass must write places of its own."""
    decorate = numba.njit(fastmath=set(REPRODUCIBLE), error_model="numpy", cache=True, parallel=True)
    return cast("F", decorate(function))


def screening_kernel(function: F) -> F:
    """Compile `function` with every fast-math flag: for counts and bounds, never for an official figure."""
    return cast("F", numba.njit(fastmath=True, error_model="numpy", cache=True, nogil=True)(function))
