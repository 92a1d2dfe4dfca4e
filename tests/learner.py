"""A learner at a keyboard: processes of their own, with the environment that she would have, against a hub of ours.

The endpoint, the cache and the proxy are read from the environment when the hub's client is imported, so each command
is a process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

DNABERT2, PROTGPT2 = "zhihan1996/DNABERT-2-117M", "nferruz/ProtGPT2"
ROOT = Path(__file__).resolve().parents[1]
CODE = ("bert_layers.py", "bert_padding.py", "configuration_bert.py", "flash_attn_triton.py")

LOCATE = """
import json, sys
from biollm_widgets.errors import InputError
from biollm_widgets.models.locate import locate
name, source, weights = json.loads(sys.argv[1])
try:
    path = locate(name, source, weights=weights)
    print(json.dumps({"path": path, "source": path.source, "said": path.said}))
except InputError as problem:
    print(json.dumps({"sentence": str(problem)}))
"""

# The command, with the data set at another address: {url} is replaced.
CLI = """
import sys
from biollm_widgets.dna import datasets_file
datasets_file.CHAPTER_URL = "{url}"
from biollm_widgets import cli
cli.run(sys.argv[1:])
"""
# A process that is no user's own and has no rights above others: root without its powers, whom the modes of files bind.
UNSET = ("BIOLLM_SHARED_CACHE", "BIOLLM_CACHE", "SCRATCH", "XDG_CACHE_HOME")
POWERLESS = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all")


@dataclass
class Learner:
    """Someone with an empty cache, who sees what the commands print."""

    home: Path
    endpoint: str

    def environment(self, **changes: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        for key in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "BIOLLM_MODELS", "HF_HUB_CACHE", *UNSET):
            kept.pop(key, None)
        return {
            **kept,
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(self.home),
            "HF_HUB_DOWNLOAD_TIMEOUT": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            **changes,
        }

    def run(
        self, *command: str, before: str = "", powerless: bool = False, **changes: str
    ) -> subprocess.CompletedProcess[str]:
        whole = [*(POWERLESS if powerless else ()), sys.executable, *command]
        if before:  # a mount of its own goes away with the process
            whole = ["unshare", "-m", "sh", "-c", f'{before} && exec "$@"', "sh", *whole]
        done = subprocess.run(
            whole, env=self.environment(**changes), capture_output=True, text=True, timeout=120, cwd=self.home.parent
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def biollm(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return self.run(*self.words(*arguments), **options)

    def words(self, *arguments: str) -> list[str]:
        """The command line after `python`: the data set is at our hub as well."""
        return ["-c", CLI.format(url=f"{self.endpoint}/files/data.csv"), *arguments]

    def locate(
        self, name: str = DNABERT2, source: Optional[str] = None, weights: bool = True, **options: Any
    ) -> dict[str, Any]:
        done = self.run("-c", LOCATE, json.dumps([name, source, weights]), **options)
        assert done.returncode == 0, done.stderr
        return {**json.loads(done.stdout), "stderr": done.stderr}

    def blobs(self, name: str = DNABERT2) -> Path:
        return self.home / "hub" / f"models--{name.replace('/', '--')}" / "blobs"

    def parts(self) -> list[Path]:
        return list(self.blobs().glob("*.incomplete"))
