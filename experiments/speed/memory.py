"""How much memory one run takes, in a process of its own: `python -m experiments.speed.memory constant 512`.

A graph that serves every length is made and run with a history of two events first, so that libraries,
weights and graph are loaded; of a step with a catalogue (`python -m experiments.speed.memory whole 16000`), a
step with 20 items is. Then the peak of the resident memory is read before and after one run at the size asked
for. The peak is the kernel's own: it counts what TensorFlow's allocator takes from the system, freed again or
not, which is what a machine must have.
"""

from __future__ import annotations

import sys

from experiments.benchmark import peak_memory
from experiments.speed.scaling_speed import LESSONS, NEGATIVES, WAYS, catalogue_step, growing


def main() -> None:
    """Print the megabytes that a run adds."""
    kind, size = sys.argv[1], int(sys.argv[2])
    if kind in WAYS:
        catalogue_step(kind, 20, LESSONS, NEGATIVES)()
        run = catalogue_step(kind, size, LESSONS, NEGATIVES)
        before = peak_memory()
        run()
    else:
        grown = growing(kind)
        grown(2)
        before = peak_memory()
        grown(size)
    sys.stdout.write(f"{peak_memory() - before:.1f}\n")


if __name__ == "__main__":
    main()
