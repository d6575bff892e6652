"""What the operators return, computed again in fifty digits and by other methods, for tests at extreme values.

Everything is a list of mpmath numbers: rows (A,), tables as nested lists. A double enters exactly, as the number it is;
nothing of the library is called.
"""

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
from mpmath import mpf

#: Arguments reach 1e20 and are wanted to 1e-30 next to that.
DIGITS = 60

Row = list[Any]


def row(values: Sequence[float]) -> Row:
    """Return doubles as exact numbers."""
    return [mpf(float(value)) for value in values]


def entropy(tau: Any, u: Row) -> Any:
    """Return -tau sum u log u."""
    return -tau * mpmath.fsum(x * mpmath.log(x) for x in u if x > 0)


def quadratic(rho: Any, u: Row) -> Any:
    """Return -(rho/2) sum u^2."""
    return -rho * mpmath.fsum(x * x for x in u) / 2


def softmax(x: Row) -> Row:
    """Return exp(x) over its sum."""
    top = max(x)
    weights = [mpmath.exp(value - top) for value in x]
    total = mpmath.fsum(weights)
    return [weight / total for weight in weights]


def sparsemax(x: Row) -> Row:
    """Return the projection of x on the simplex: the threshold is tried for every size of the support."""
    for size in range(1, len(x) + 1):
        held = sorted(x, reverse=True)[:size]
        threshold = (mpmath.fsum(held) - 1) / size
        u = [max(mpf(0), value - threshold) for value in x]
        if sum(value > threshold for value in x) == size:
            return u
    raise AssertionError(x)


def log_plus_linear(target: Row, slope: Any) -> Row:
    """Solve log u_a + slope u_a = target_a - m, sum u = 1, by bisection in m and in log u_a."""

    def entry(x: Any) -> Any:
        if x == mpmath.ninf:
            return mpf(0)
        # y = log u increases y + slope e^y, which is convex: Newton's method from the right of the root
        y = x if slope == 0 else min(x, mpmath.log(max(x, mpf(1)) / slope) if x > 1 else x)
        for _ in range(200):
            excess = y + slope * mpmath.exp(y) - x
            step = excess / (1 + slope * mpmath.exp(y))
            y -= step
            if abs(step) < mpf(10) ** (-DIGITS // 2 - 5):
                break
        return mpmath.exp(y)

    finite = [t for t in target if t != mpmath.ninf]
    # at the left end the largest entry is 1; at the right end none is above 1 / A
    left = max(finite) - slope
    right = max(finite) - slope / len(finite) + mpmath.log(len(finite))
    root = _root(lambda m: mpmath.fsum(entry(t - m) for t in target) - 1, left, right)
    return [entry(t - root) for t in target]


def _root(f: Callable[[Any], Any], left: Any, right: Any) -> Any:
    """Return a root of a monotone function between two ends, or the end that it is at.

    False position with the Illinois rule, the value of an end that stays is halved, and a bisection in between.
    """
    tolerance = mpf(10) ** (-DIGITS // 2)
    f_left, f_right = f(left), f(right)
    for end, value in ((left, f_left), (right, f_right)):
        if abs(value) < tolerance:
            return end
    assert f_left * f_right < 0, (left, right, f_left, f_right)
    kept = None
    for step in range(1000):
        middle = (left + right) / 2 if step % 4 == 0 else (left * f_right - right * f_left) / (f_right - f_left)
        value = f(middle)
        if abs(value) < tolerance or abs(right - left) < tolerance:
            return middle
        if value * f_left > 0:
            left, f_left = middle, value
            f_right, kept = (f_right / 2 if kept == "right" else f_right), "right"
        else:
            right, f_right = middle, value
            f_left, kept = (f_left / 2 if kept == "left" else f_left), "left"
    raise AssertionError((left, right))


def step(
    kind: str,
    strength: float,
    q: Sequence[float],
    policy: Sequence[float] | None = None,
    step_size: float | None = None,
    mirror: str = "euclidean",
    floor: float | None = None,
) -> Row:
    """Return argmax <u, q> + h(u) - D(u, policy) / eta over h(u) >= floor; without a policy the best response."""
    with mpmath.workdps(DIGITS):
        slopes, weight = row(q), mpf(float(strength))
        value = entropy if kind == "entropy" else quadratic
        inverse = mpf(0) if step_size is None else 1 / mpf(float(step_size))

        def solve(tau: Any) -> Row:
            if policy is None:
                return softmax([x / tau for x in slopes]) if kind == "entropy" else sparsemax([x / tau for x in slopes])
            start = row(policy)
            if mirror == "euclidean":
                pushed = [x + inverse * p for x, p in zip(slopes, start, strict=True)]
                if kind == "quadratic":
                    return sparsemax([x / (tau + inverse) for x in pushed])
                return log_plus_linear([x / tau for x in pushed], inverse / tau)
            pushed = [
                (x + inverse * mpmath.log(p)) / inverse if p > 0 else mpmath.ninf
                for x, p in zip(slopes, start, strict=True)
            ]
            if kind == "entropy":
                pushed = [x * inverse / (tau + inverse) for x in pushed]
                top = max(pushed)
                return softmax([x if x != mpmath.ninf else top - mpf(10) ** 30 for x in pushed])
            return log_plus_linear(pushed, tau / inverse)

        free = solve(weight)
        if floor is None or value(weight, free) >= mpf(floor):
            return free
        # h(u_kappa) increases with log kappa
        log_kappa = _root(
            lambda t: (value(weight, solve(weight * (1 + mpmath.exp(t)))) - mpf(floor)) / weight, mpf(-60), mpf(300)
        )
        return solve(weight * (1 + mpmath.exp(log_kappa)))


def kernel(transition: Any, policy: Any) -> Any:
    """Return P_pi as an mpmath matrix, for a transition (S, A, S) and a policy (S, A) of doubles."""
    size = len(transition)
    return mpmath.matrix(
        [
            [
                mpmath.fsum(mpf(float(policy[s][a])) * mpf(float(transition[s][a][y])) for a in range(len(policy[s])))
                for y in range(size)
            ]
            for s in range(size)
        ]
    )


def stationary(chain: Any) -> Row:
    """Return the stationary law of a chain with one recurrent class, rows divided by their sums first."""
    with mpmath.workdps(DIGITS):
        size = chain.rows
        system = mpmath.matrix(size)
        for s in range(size):
            total = mpmath.fsum(chain[s, y] for y in range(size))
            for y in range(size):
                system[y, s] = chain[s, y] / total - (1 if s == y else 0)
        right = mpmath.matrix(size, 1)
        for s in range(size):
            system[size - 1, s] = mpf(1)
        right[size - 1] = mpf(1)
        return list(mpmath.lu_solve(system, right))


def discounted_sum(chain: Any, discount: float, gain: Row) -> Row:
    """Return (I - gamma P)^-1 gain."""
    with mpmath.workdps(DIGITS):
        return list(mpmath.lu_solve(mpmath.eye(chain.rows) - mpf(discount) * chain, mpmath.matrix(gain)))


def values(
    transition: Any, reward: Any, discount: float, policy: Any, h: Callable[[Row], Any] = lambda u: mpf(0)
) -> Row:
    """Return V of a policy in a decision process of doubles."""
    with mpmath.workdps(DIGITS):
        gain = [
            mpmath.fsum(mpf(float(p)) * mpf(float(r)) for p, r in zip(policy[s], reward[s], strict=True))
            + h(row(policy[s]))
            for s in range(len(policy))
        ]
        return discounted_sum(kernel(transition, policy), discount, gain)


def q_of(transition: Any, reward: Any, discount: float, value: Row) -> list[Row]:
    """Return R + gamma P V."""
    with mpmath.workdps(DIGITS):
        size = len(value)
        return [
            [
                mpf(float(reward[s][a]))
                + mpf(discount) * mpmath.fsum(mpf(float(transition[s][a][y])) * value[y] for y in range(size))
                for a in range(len(reward[s]))
            ]
            for s in range(size)
        ]


def optimal_values(
    transition: Any, reward: Any, discount: float, kind: str | None = None, strength: float = 1.0
) -> tuple[Row, list[Row]]:
    """Return the optimal V and an optimal policy, by policy iteration; without a kind unregularized."""
    with mpmath.workdps(DIGITS):
        states, actions = len(reward), len(reward[0])
        tau = mpf(float(strength))
        policy = [[mpf(1) / actions] * actions for _ in range(states)]
        table = [[row(transition[s][a]) for a in range(actions)] for s in range(states)]
        gains = [row(reward[s]) for s in range(states)]
        for _ in range(200):
            chain = mpmath.matrix(
                [
                    [mpmath.fsum(policy[s][a] * table[s][a][y] for a in range(actions)) for y in range(states)]
                    for s in range(states)
                ]
            )
            h = {None: lambda u: mpf(0), "entropy": lambda u: entropy(tau, u), "quadratic": lambda u: quadratic(tau, u)}
            gain = [mpmath.fdot(policy[s], gains[s]) + h[kind](policy[s]) for s in range(states)]
            value = discounted_sum(chain, discount, gain)
            q = [
                [gains[s][a] + mpf(discount) * mpmath.fdot(table[s][a], value) for a in range(actions)]
                for s in range(states)
            ]
            if kind is None:
                # ties are told from differences by 1e-40: fifty digits and more are right
                improved = []
                for s in range(states):
                    best, held = max(q[s]), mpmath.fdot(policy[s], q[s])
                    better = best - held > mpf(10) ** -40 * max(abs(x) for x in q[s])
                    improved.append([mpf(a == q[s].index(best)) for a in range(actions)] if better else policy[s])
            else:
                respond = softmax if kind == "entropy" else sparsemax
                improved = [respond([x / tau for x in q[s]]) for s in range(states)]
            moved = max(abs(improved[s][a] - policy[s][a]) for s in range(states) for a in range(actions))
            policy = improved
            if moved < mpf(10) ** -35:
                return value, policy
        raise AssertionError(moved)


def exploitability(
    transition: Any,
    reward: Any,
    discount: float,
    policy: Any,
    mean_field: Sequence[float],
    kind: str | None = None,
    strength: float = 1.0,
) -> Any:
    """Return <mu, V* - V> in a decision process of doubles."""
    tau = mpf(float(strength))
    h = {None: lambda u: mpf(0), "entropy": lambda u: entropy(tau, u), "quadratic": lambda u: quadratic(tau, u)}[kind]
    with mpmath.workdps(DIGITS):
        best, _ = optimal_values(transition, reward, discount, kind, strength)
        own = values(transition, reward, discount, policy, h)
        return mpmath.fsum(mpf(float(m)) * (x - y) for m, x, y in zip(mean_field, best, own, strict=True))
