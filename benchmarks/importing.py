"""How long `import biollm_widgets` takes, against importing what it stands on.

    python -m benchmarks.importing

Each import runs in a fresh interpreter, in turn, so that caches and the machine's mood are shared; the time of an
empty interpreter is taken off. The figure that matters is the first: under 0.2 s, with neither torch nor transformers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

WAYS = {
    "import biollm_widgets": "import biollm_widgets",
    "import torch": "import torch",
    "import transformers, AutoModel": "from transformers import AutoModel",
    "biollm_widgets.DNABert2Model": "from biollm_widgets import DNABert2Model",
}


def seconds(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    args = parser.parse_args()
    for code in WAYS.values():  # once unmeasured: bytecode and disk caches
        seconds(code)
    times: dict[str, list[float]] = {name: [] for name in ["", *WAYS]}
    for _ in range(args.rounds):
        for name in times:
            times[name].append(seconds(WAYS.get(name, "pass")))
    empty = statistics.median(times.pop(""))
    figures = {name: statistics.median(values) - empty for name, values in times.items()}
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, biollm_widgets; print({'torch', 'transformers'} & set(sys.modules) or 'neither')",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    if args.json:
        print(json.dumps({"seconds": figures, "loaded_by_import": loaded}))
        return
    ours = figures["import biollm_widgets"]
    print(f"{'':32} {'seconds':>8} {'times ours':>11}")
    for name, value in figures.items():
        print(f"{name:32} {value:8.3f} {value / ours:11.0f}")
    print(f"Of torch and transformers, the first line loads {loaded}.")


if __name__ == "__main__":
    main()
