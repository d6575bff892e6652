"""An audit in words, and as one page of HTML that holds all it needs."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterator, Sequence
from typing import Any

#: Share of the rewards' range up to which an exploitability counts as nearly none; the accuracy of `pma-mfg learn`.
NEARLY = 0.03

#: How a gain was found, for readers; that of a simulated one is told with its interval.
ROUTES = {
    "exact": "exact",
    "closed form": "closed form for large N, and the limit without the regularizer",
    "limit": "the limit for large N; what N agents add to it is not known",
}

#: The same of a limit where it is not known that many agents tend to it.
UNKNOWN_LIMIT = "the mean field's; for N agents not known"

_STYLE = """body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .25rem .75rem; border-bottom: 1px solid #ddd }
td { text-align: right; font-variant-numeric: tabular-nums } th, td:first-child { text-align: left }
th, td { white-space: nowrap } td.words { text-align: left }
.scroll { overflow-x: auto } .verdict { font-size: 1.15rem; border-left: 4px solid #0173b2; padding-left: 1rem }
.missed { border-color: #de8f05 } h1, p, li { overflow-wrap: anywhere }
img { width: 100%; min-width: 40rem } small { color: #555 }"""


def number(value: float) -> str:
    """Return a number for readers; rounding errors of zero are "0"."""
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else "infinite"
    return "0" if abs(value) < 1e-12 else f"{value:.4g}"


def share(value: float, of: float) -> str:
    """Return what share a gain is of the rewards' range, in per cent."""
    return f"{number(100.0 * max(value, 0.0) / of)} % of the rewards' range"


def grade(exploitability: float, found: Any) -> str:
    """Return what a policy with this exploitability is: "an equilibrium, to rounding", nearly one, or none."""
    from pma_mfg.audit import NEGLIGIBLE

    if exploitability <= NEGLIGIBLE * found.values_range:
        return "an equilibrium, to rounding,"
    return "nearly an equilibrium" if exploitability <= NEARLY * found.rewards_range else "no equilibrium"


def power(exponent: float) -> str:
    """Return N^(-exponent) for readers."""
    names = {0.5: "1/sqrt(N)", 1.0: "1/N", 2.0: "1/N^2", math.inf: "any power of 1/N"}
    return "an unknown order" if math.isnan(exponent) else names.get(exponent, f"N^-{exponent:g}")


def in_words(found: Any, game: Any, *, name: str, of: str) -> list[str]:
    """Return an audit as lines, the last of which says what came out and whether it is good.

    Parameters
    ----------
    found : Audit
    game : Game
    name : str
        The policy's.
    of : str
        The game and the regularizer.

    Returns
    -------
    list of str
    """
    size = f"S = {game.n_states}, A = {game.n_actions}, gamma = {game.discount:g}"
    return [
        f"{name} on {of}; {size}",
        *standing(found),
        "what one of N agents gains by deviating, who sees its state and the counts of the others:",
        f"{'N':>12} {'regularized':>13} {'unregularized':>14}   {'predicted':>10}   how",
        *(
            f"{each.n_agents:>12} {number(each.regularized):>13} {number(each.unregularized):>14}   "
            f"{number(each.predicted):>10}   {how(each, found)}"
            for each in found.gains
        ),
        "and one who sees its own state only, as in the paper:",
        *(
            f"{each.n_agents:>12} {number(each.own_state.regularized):>13} "
            f"{number(each.own_state.unregularized):>14}   {number(each.own_state.predicted):>10}   "
            f"{route(each.own_state.route, found)}"
            for each in found.gains
        ),
        *theory(found),
        verdict(found, name),
    ]


def standing(found: Any) -> Iterator[str]:
    """Yield how exploitable the policy is, and what is known of the nearest equilibrium."""
    for kind, value in (
        ("regularized", found.exploitability),
        ("unregularized", found.exploitability_unregularized),
    ):
        yield f"exploitability, {kind:14} {number(value):>10}   ({share(value, found.rewards_range)})"
    yield from _neighbourhood(found)


def theory(found: Any) -> Iterator[str]:
    """Yield what is predicted, what is certified, and what is lacking."""
    yield from orders(found)
    for each in found.certified:
        yield f"{'certified' if each.holds else 'not certified'}: {each.implies} ({constant(each)})"
    for warning in found.warnings:
        yield f"warning: {warning}"


def _neighbourhood(found: Any) -> Iterator[str]:
    """Yield what is known of the nearest equilibrium."""
    if found.nearest is None:
        yield "no equilibrium was found to compare it with"
        return
    count = f" of {found.n_equilibria} found" if found.n_equilibria > 1 else ""
    yield (
        f"nearest equilibrium{count}: {number(found.policy_distance)} away in the policy (largest l1 distance), "
        f"{number(found.population_distance)} in the population (l1)"
    )
    if math.isfinite(found.best_response_radius):
        step_size = number(found.pma_step_size * found.rho)
        yield (
            f"there best response {_stable(found.best_response_radius)}; "
            f"PMA at the best step size tried, {step_size} / rho, {_stable(found.pma_radius)}"
        )


def _stable(radius: float) -> str:
    """Return whether an iteration with this spectral radius comes back."""
    return f"{'comes back' if radius < 1.0 else 'leaves'} (spectral radius {radius:.3g})"


def route(name: str, found: Any) -> str:
    """Return a route in words; a limit is called so only where many agents are known to tend to it."""
    return UNKNOWN_LIMIT if name == "limit" and math.isnan(found.order.exponent) else ROUTES.get(name, name)


def how(gain: Any, found: Any) -> str:
    """Return how a gain was found, with the interval of a simulated one, and why it is only a limit."""
    if gain.route == "simulated":
        intervals = (gain.regularized_interval, gain.unregularized_interval)
        told = " and ".join(f"[{number(low)}, {number(high)}]" for low, high in intervals)
        left = "; some states are empty in the long run" if "long run" in gain.why else ""
        return f"simulated, 95 % intervals {told}{left}"
    told = route(gain.route, found)
    return f"{told} ({gain.why})" if gain.route == "limit" and gain.why else told


def orders(found: Any) -> Iterator[str]:
    """Yield what is predicted of the gains for large N."""
    for kind, order in (("regularized", found.order), ("unregularized", found.order_unregularized)):
        if math.isnan(order.exponent):
            yield f"for large N, {kind}: not known, as {order.why}"
            continue
        added, own = _added(order.constant, order.exponent), _added(order.own_state_constant, order.own_state_exponent)
        yield (
            f"for large N, {kind}: {number(order.limit)} + {added}; "
            f"of a deviator who sees its own state only: {number(order.limit)} + {own}"
            + (f" (no constant is known: {order.why})" if order.why else "")
        )


def _added(constant: float, exponent: float) -> str:
    """Return what finitely many agents add, in words; without a constant, its order."""
    known = math.isfinite(constant) and math.isfinite(exponent)
    return f"{constant:.4g} * {power(exponent)}" if known else f"O({power(exponent)})"


def constant(certified: Any) -> str:
    """Return the constant of a certificate and what it has to be."""
    names = {"population": "L_pop", "contraction": "Lipschitz constant", "attraction": "certified rate"}
    return f"{names[certified.name]} {number(certified.value)}, to be below 1"


def verdict(found: Any, name: str) -> str:
    """Return the last line: what came out, and whether it is good."""
    good, told = False, []
    for value, which in (
        (found.exploitability, "of the regularized game"),
        (found.exploitability_unregularized, "without the regularizer"),
    ):
        words = grade(value, found)
        good = good or words != "no equilibrium"
        gains = f" (an agent gains {number(value)} by deviating, {share(value, found.rewards_range)})"
        told.append(f"{words} {which}{'' if 'rounding' in words else gains}")
    rest = ""
    if found.gains:
        few = min(found.gains, key=lambda each: each.n_agents)
        rest = f"; one of {few.n_agents} agents gains {number(few.regularized)} and {number(few.unregularized)}"
        rest += f" ({few.route})"
        if few.route == "limit":
            rest = f"; what one of {few.n_agents} agents gains is not known"
    return f"{'good' if good else 'not good'}: {name} is {' and '.join(told)}{rest}; up to {100 * NEARLY:g} % is nearly"


def page(found: Any, game: Any, *, picture: bytes, title: str, lines: Sequence[str]) -> str:
    """Return an audit as one page of HTML that opens without a network.

    Parameters
    ----------
    found : Audit
    game : Game
    picture : bytes
        A PNG.
    title : str
    lines : sequence of str
        Of `in_words`.

    Returns
    -------
    str
    """
    from pma_mfg import policy_files

    states, actions = policy_files.labels(game)
    escaped = html.escape(title)
    image = base64.b64encode(picture).decode()
    gains = _table(
        ("N", "regularized", "unregularized", "predicted", "how"),
        [
            (str(each.n_agents), *map(number, (each.regularized, each.unregularized, each.predicted)), how(each, found))
            for each in found.gains
        ],
    )
    own = _table(
        ("N", "regularized", "unregularized", "predicted", "how"),
        [
            (
                str(each.n_agents),
                *map(number, (each.own_state.regularized, each.own_state.unregularized, each.own_state.predicted)),
                route(each.own_state.route, found),
            )
            for each in found.gains
        ],
    )
    policy = _table(
        ("state", "share", *actions),
        [
            (state, *(f"{value:.4f}" for value in (mass, *row)))
            for state, mass, row in zip(states, found.mean_field, found.policy, strict=True)
        ],
    )
    facts = (*standing(found), *theory(found))
    told = "".join(f"<li>{html.escape(' '.join(line.split()))}</li>\n" for line in facts)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escaped}</title>
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>
<h1>{escaped}</h1>
<p><small>{html.escape(lines[0])}</small></p>
<p class="verdict{" missed" * lines[-1].startswith("not good")}">{html.escape(lines[-1])}</p>
<h2>Picture</h2>
<div class="scroll"><img src="data:image/png;base64,{image}"
alt="Policy, nearest equilibrium, gains against N, populations at each N"></div>
<h2>What one of N agents gains by deviating</h2>
<p>Who sees its own state and how many of the others are in each:</p>
{gains}
<p>Who sees its own state only, as the agents of the paper do:</p>
{own}
<h2>All that was found</h2>
<ul>
{told}</ul>
<h2>The policy and its population</h2>
{policy}
</body></html>
"""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of HTML."""
    names = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    words = [" class=words" if name == "how" else "" for name in head]
    body = "\n".join(
        "<tr>" + "".join(f"<td{kind}>{html.escape(cell)}</td>" for kind, cell in zip(words, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{names}</tr>\n{body}</table></div>'
