"""How much memory one run takes, in a process of its own: `python benchmarks/memory.py constant 512`.

The graph serves every length. It is made and run with a history of two events first, so that libraries,
weights and graph are loaded; then the peak of the resident memory is read before and after one run at the
length asked for. The peak is the kernel's own: it counts what TensorFlow's allocator takes from the system,
freed again or not, which is what a machine must have.
"""

from __future__ import annotations

import sys

from scaling_speed import growing

from imtlib.benchmark import peak_memory


def main() -> None:
    """Print the megabytes that a run adds."""
    kind, length = sys.argv[1], int(sys.argv[2])
    run = growing(kind)
    run(2)
    before = peak_memory()
    run(length)
    sys.stdout.write(f"{peak_memory() - before:.1f}\n")


if __name__ == "__main__":
    main()
