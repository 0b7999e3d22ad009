"""Print the index of PyTorch's CPU builds where torch should come from there, and nothing elsewhere.

On Linux the torch of PyPI brings several GB of CUDA libraries, which are of no use without an NVIDIA driver. `make`
asks this script before it installs requirements.txt.

    python tools/torch_index.py     # https://download.pytorch.org/whl/cpu, or an empty output
"""

import shutil
import sys
import threading
import urllib.request
from pathlib import Path

CPU = "https://download.pytorch.org/whl/cpu"
SECONDS = 4


def has_nvidia_driver():
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()


def answers(index, seconds=SECONDS):
    """Whether an index lists torch, asked for so many seconds at the most.

    The time-out of urllib covers neither the look-up of a name nor a server that sends a byte now and then, so the
    request runs in a thread of its own, which is left behind when the time is over.
    """
    found = []

    def ask():
        try:
            request = urllib.request.Request(f"{index}/torch/", method="HEAD")
            with urllib.request.urlopen(request, timeout=seconds) as reply:
                found.append(reply.status == 200)
        except (OSError, ValueError):
            pass  # no network, a proxy's refusal, an address that urllib does not know: no answer

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return any(found)


def choose(index=CPU, system=sys.platform):
    """The index to use, or None for the one that pip is set up with."""
    return index if system == "linux" and not has_nvidia_driver() and answers(index) else None


if __name__ == "__main__":
    print(choose() or "", end="")
