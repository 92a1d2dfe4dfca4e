"""A kernel of one's own: this very Python, and nothing that another process could take or reach."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("ipykernel")

from jupyter_client.manager import KernelManager

from biollm_widgets.kernels import own_kernel


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no sockets that are files.")
def test_it_is_this_python_and_talks_through_files_in_the_callers_folder():
    with tempfile.TemporaryDirectory() as folder:
        manager = own_kernel(KernelManager(kernel_name="a name that is not installed"), folder)
        manager.start_kernel()
        client = manager.client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=60)
            client.execute("import sys; print(sys.executable)")
            while (said := client.get_iopub_msg(timeout=60))["msg_type"] != "stream":
                pass
            assert said["content"]["text"].strip() == sys.executable
            assert len([one for one in Path(folder).iterdir() if one.is_socket()]) == 5
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


def test_a_folder_whose_path_is_too_long_for_a_socket_leaves_it_at_ports(tmp_path):
    manager = own_kernel(KernelManager(), tmp_path / ("long" * 25))
    assert manager.transport == "tcp" and manager.ip == KernelManager().ip
