"""Sizes that fit one game: many methods on one trajectory."""

from __future__ import annotations

from pma_mfg.regularizers import Entropy
from pma_replication.plan import Settings, Subject


def _one_trajectory(subject: Subject) -> Settings:
    subject.need_features("one_trajectory")
    if not isinstance(subject.regularizer, Entropy):
        raise subject.refused("one_trajectory", f"the regularizer {subject.kind}", "--regularizer entropy")
    slow = {"policy_step": [0.003, 0.01], "policy_exponent": [0.0, 0.5]}
    return {
        "methods": {
            "pma": {"step_size": [0.03, 0.1], "first": [30, 100], "growth": [1.05], "constant": [1.0]},
            "pma_kept": {"step_size": [0.01, 0.03], "first": [10], "growth": [1.05], "exponent": [0.4, 0.7]},
            "softmax_q_learning": {"step_size": [0.03, 0.1], "exponent": [0.0, 0.3], "exploration": [0.1]},
            "slow_policy": {"exponent": [0.7], **slow},
            "pma_pooled": {"step_size": [0.03, 0.1], "first": [10], "growth": [1.05], "constant": [1.0]},
        },
        "n_agents": 1000,
        "budget": 12_000,
        "per_decade": 3,
        "target": 0.01,
        "accuracies": [0.1, 0.03, 0.01],
        "n_replicates": 8,
        "shorter": 0.1,
    }


SIZES = {"one_trajectory": _one_trajectory}
