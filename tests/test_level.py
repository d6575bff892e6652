"""What a run prints does not depend on which instructions the processor has."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pma_replication.runs import level

#: Exact parts, as tables print them: equilibria, what leads to them, exploitability, and spectral radii.
EXACT = """
from pma_mfg import equilibrium, games, jacobian, operators, regularizers
for n_states, n_actions, discount in ((3, 2, 0.5), (5, 3, 0.9), (12, 4, 0.95)):
    game = games.make("crowd_averse", n_states=n_states, n_actions=n_actions, discount=discount, seed=1)
    regularizer = regularizers.Entropy(0.3)
    found = equilibrium.solve(game, regularizer)
    uniform = operators.uniform_policy(game)
    numbers = [*found.policy.ravel(), *found.q.ravel(), *operators.stable_population(game, found.policy)]
    numbers.append(equilibrium.exploitability(game, uniform, regularizer))
    for step_size in (0.5, 5.0):
        derivative = jacobian.jacobian(game, found.policy, step_size, regularizer=regularizer)
        numbers.append(jacobian.spectral_radius(derivative))
    print(*(f"{number:.4g}" for number in numbers))
"""

needs_level = pytest.mark.skipif(not level.environment(), reason="needs an x86-64 processor with AVX2")


def printed(variables: dict[str, str]) -> str:
    chosen = {name: value for name, value in os.environ.items() if name not in level.environment()}
    done = subprocess.run(
        [sys.executable, "-c", EXACT], env={**chosen, **variables}, capture_output=True, text=True, check=True
    )
    return done.stdout


@needs_level
def test_exact_parts_print_the_same_digits_with_the_instructions_of_this_machine_and_of_the_level() -> None:
    own, fixed = printed({}), printed(level.environment())
    assert len(own.split()) > 100
    assert own == fixed


def test_only_a_processor_that_has_the_level_is_told_to_use_it_and_only_what_it_has_is_turned_off() -> None:
    dispatched = ("X86_V3", "X86_V4", "AVX512_ICL", "AVX512_SPR")
    new = {"X86_V3": True, "X86_V4": True, "AVX512_ICL": True, "AVX512_SPR": False}
    assert level.environment("x86_64", dispatched, new)["NPY_DISABLE_CPU_FEATURES"] == "X86_V4 AVX512_ICL"
    assert "NPY_DISABLE_CPU_FEATURES" not in level.environment("x86_64", dispatched, {"X86_V3": True})
    assert level.environment("x86_64", dispatched, {"X86_V3": False}) == {}
    assert level.environment("arm64", dispatched, new) == {}
