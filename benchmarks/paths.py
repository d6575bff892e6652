"""Time the path of equilibria against solving each of its strengths afresh: `make bench`, into benchmarks/paths.md."""

from __future__ import annotations

import contextlib
import time

from solvers import REGULARIZER, sparse_crowd

from pma_mfg import equilibrium, paths
from pma_mfg.errors import ConvergenceError

#: Numbers of states, and the largest at which every strength is solved afresh, which takes minutes from 100 on.
SIZES, LARGEST_AFRESH = (10, 100, 1000, 2000), 100


def main() -> None:
    """Print the page."""
    print("Written by `benchmarks/paths.py`: seconds of processor time with one thread, in sparse crowd-averse games")
    print("(A = 3, discount 0.9, ten successors a state, entropy), of the path from nearly uniform policies to a")
    print(
        "millionth of the rewards' range, and of solving the equilibrium afresh at each of the path's strengths, up to"
    )
    print(f"{LARGEST_AFRESH} states.\n")
    print("| states | path | points | largest residual | afresh | strengths solved |\n|---|---|---|---|---|---|")
    for size in SIZES:
        game = sparse_crowd(size)
        start = time.process_time()
        points = paths.equilibrium_path(game, REGULARIZER).points
        followed = time.process_time() - start
        afresh = "not tried | "
        if size <= LARGEST_AFRESH:
            start, solved = time.process_time(), 0
            for point in points:
                with contextlib.suppress(ConvergenceError):
                    equilibrium.solve(game, point.regularizer)
                    solved += 1
            afresh = f"{time.process_time() - start:.1f} | {solved}"
        residual = max(point.residual for point in points)
        print(f"| {size} | {followed:.1f} | {len(points)} | {residual:.0e} | {afresh} |", flush=True)


if __name__ == "__main__":
    main()
