"""How much memory one run takes, in a process of its own: `python benchmarks/memory.py constant 512`.

The graph serves every length. It is made and run with a history of two events first, so that libraries,
weights and graph are loaded; then the peak of the resident memory is read before and after one run at the
length asked for. The peak is the kernel's own: it counts what TensorFlow's allocator takes from the system,
freed again or not, which is what a machine must have.
"""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

from scaling_speed import growing


def peak_kilobytes() -> int:
    """The most memory this process has held."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not `ru_maxrss`: on Linux a process inherits that of the one that started it.
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text("ascii"))[0])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // 1024 if sys.platform == "darwin" else most


def main() -> None:
    """Print the megabytes that a run adds."""
    kind, length = sys.argv[1], int(sys.argv[2])
    run = growing(kind)
    run(2)
    before = peak_kilobytes()
    run(length)
    sys.stdout.write(f"{(peak_kilobytes() - before) / 1024:.1f}\n")


if __name__ == "__main__":
    main()
