"""The engine: what computes the codes, as a short stable name for provenance.

    torch2.13-cpu-avx2-float32        torch2.13-cuda-sm90-float32+tf32

On one engine a clip always gets the same codes. Between two engines, sums may differ in their last
bits, which decides near ties between codebook entries: 0.1 to 1 % of the codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from preprocess.core.errors import UsageError

if TYPE_CHECKING:
    import torch


def pick_device(name: str) -> torch.device:
    """Return the device called `name`; `auto` is a GPU if there is one, else the CPU.

    Raises:
        UsageError: The device cannot be used.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0][:120]
        raise UsageError(f"device {name} cannot be used: {reason}") from None
    return device


def engine_name(device: torch.device, precision: str, allow_tf32: bool) -> str:
    """Return the engine's name: torch's minor version, device, instruction set, arithmetic.

    It leaves out the number of threads because codes do not depend on it
    (`preprocess.codec.workers`).
    """
    import torch

    from preprocess.codec.torch_private import pinned_kernels

    version = ".".join(torch.__version__.split(".")[:2])
    if device.type == "cuda":
        kind = "sm{}{}".format(*torch.cuda.get_device_capability(device))
    else:
        kind = torch.backends.cpu.get_cpu_capability().lower()
    name = f"torch{version}-{device.type}-{kind}-{arithmetic(precision, allow_tf32)}"
    pinned = device.type != "cpu" or precision != "float32" or pinned_kernels() is not None
    return name if pinned else f"{name}-unpinned"


def arithmetic(precision: str, allow_tf32: bool) -> str:
    """Return the part of the engine's name that depends on settings, not on the machine."""
    return precision + ("+tf32" if allow_tf32 else "")
