"""A Jupyter kernel of this very Python, which its caller alone can reach."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Union

OWN_ARGV = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]


def own_kernel(manager: Any, folder: Union[str, Path]) -> Any:
    """Set up a manager of jupyter_client to start this Python, whatever kernels are installed.

    Parameters
    ----------
    manager
        A KernelManager or AsyncKernelManager that has not started anything.
    folder
        A folder of the caller's own with a short path (a socket's may have about 100 letters); it outlives the kernel.

    Returns
    -------
    The manager.
    """
    from jupyter_client.kernelspec import KernelSpec

    return private_kernel(manager, KernelSpec(argv=OWN_ARGV, language="python"), folder)


def private_kernel(manager: Any, spec: Any, folder: Union[str, Path]) -> Any:
    """Set up a manager of jupyter_client to start `spec`, a KernelSpec, out of everybody else's reach.

    Where the system has sockets that are files, they lie in `folder`. Ports are found free first and bound later, so
    another kernel that starts at the same moment can take one, and this one dies; on a shared machine every user
    could connect to them, too.

    Returns
    -------
    The manager.
    """
    manager._kernel_spec = spec
    socket = Path(folder).resolve() / "kernel"
    if sys.platform != "win32" and len(str(socket)) < 90:  # "-5" is added; Linux takes 107 letters, macOS 103
        manager.transport, manager.ip = "ipc", str(socket)
    return manager
