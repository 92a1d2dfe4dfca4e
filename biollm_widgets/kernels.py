"""A Jupyter kernel of this very Python, which its caller alone can reach."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Union


def own_kernel(manager: Any, folder: Union[str, Path]) -> Any:
    """Set up a manager of jupyter_client to start this Python, whatever kernels are installed.

    Where the system has sockets that are files, they lie in `folder`. Ports are found free first and bound later, so
    another kernel that starts at the same moment can take one, and this one dies; on a shared machine every user
    could connect to them, too.

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

    manager._kernel_spec = KernelSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], language="python"
    )
    socket = Path(folder).resolve() / "kernel"
    if sys.platform != "win32" and len(str(socket)) < 90:  # "-5" is added; Linux takes 107 letters, macOS 103
        manager.transport, manager.ip = "ipc", str(socket)
    return manager
