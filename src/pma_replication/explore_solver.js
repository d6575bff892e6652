"use strict";
// The explorable part of the report: exact mirror ascent and best response in a small game, computed in the page.
//
// A game is {name, discount, states, actions, P, R}. P and R are {base, terms, weights, offsets, links, parameters}: a
// table and the tables that features of the mean field add to it. A row of P, and an entry of R, belongs to the pair of
// state s and action a at place s * actions + a. A policy is a list of rows, one for each state. tests/test_explore.py
// compares every number with the library's, whose functions have the same names and the derivations.

// ---- linear algebra ----

const sum = list => list.reduce((total, x) => total + x, 0);
const dot = (x, y) => {
    let total = 0;
    for (let i = 0; i < x.length; i++) total += x[i] * y[i];
    return total;
};
const table = (rows, columns, entry) =>
    Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => entry(i, j)));
const transposed = a => table(a[0].length, a.length, (i, j) => a[j][i]);
const product = (a, b) => {
    const columns = transposed(b);
    return a.map(row => columns.map(column => dot(row, column)));
};

/** Solve a x = b by elimination with pivoting; b and x have a row for each row of a. Null where a is singular. */
function solve(a, b) {
    const n = a.length,
        rows = a.map((row, i) => [...row, ...b[i]]);
    for (let k = 0; k < n; k++) {
        let pivot = k;
        for (let i = k + 1; i < n; i++) if (Math.abs(rows[i][k]) > Math.abs(rows[pivot][k])) pivot = i;
        if (!(Math.abs(rows[pivot][k]) > 0)) return null;
        [rows[k], rows[pivot]] = [rows[pivot], rows[k]];
        for (let i = 0; i < n; i++) {
            if (i === k) continue;
            const factor = rows[i][k] / rows[k][k];
            if (factor) for (let j = k; j < rows[k].length; j++) rows[i][j] -= factor * rows[k][j];
        }
    }
    return rows.map((row, i) => row.slice(n).map(x => x / row[i]));
}

/** The largest modulus of an eigenvalue: the limit of |a^n|^(1/n) over n = 1, 2, 4, ... by squaring. */
function spectralRadius(a) {
    if (!a) return NaN;
    let logarithm = 0;
    for (let power = 1; power < 2 ** 52; power *= 2) {
        const norm = Math.sqrt(sum(a.map(row => dot(row, row))));
        if (Number.isNaN(norm)) return NaN;
        if (norm < 1e-140) return 0;
        logarithm += Math.log(norm) / power;
        a = a.map(row => row.map(x => x / norm));
        a = product(a, a);
    }
    return Math.exp(logarithm);
}

// ---- the game ----

const side = x => (Math.abs(x) < 1e-9 ? 0 : Math.sign(x));
/** The links of features: their value and their slope, at a kink the mean of both sides. */
const LINKS = {
    identity: [x => x, () => 1],
    absolute: [Math.abs, side],
    log: [(x, p) => Math.log(x + p), (x, p) => 1 / (x + p)],
    minimum: [x => Math.min(1, x), x => 0.5 * (1 - side(x - 1))],
    positive: [x => Math.max(0, x), x => 0.5 * (1 + side(x))],
    power: [(x, p) => Math.max(0, x) ** p, (x, p) => (x > 0 ? p * x ** (p - 1) : 0)],
    floored_log: [(x, p) => Math.log(Math.max(x, p)), (x, p) => (x > p ? 1 / x : 0)],
    reciprocal: [(x, p) => 1 / (x + p), (x, p) => -((x + p) ** -2)],
    exponential: [Math.exp, Math.exp],
};
const features = (part, meanField) =>
    part.weights.map((w, k) => LINKS[part.links[k]][0](dot(w, meanField) + part.offsets[k], part.parameters[k]));
/** The derivative of each feature by the mean field, a row for each feature. */
const gradients = (part, meanField) =>
    part.weights.map((w, k) => {
        const slope = LINKS[part.links[k]][1](dot(w, meanField) + part.offsets[k], part.parameters[k]);
        return w.map(x => slope * x);
    });
/** P(.|s,a,mu), a row for each pair, and R(s,a,mu), an entry for each. */
const transition = (game, phi) =>
    game.P.base.map((row, pair) =>
        row.map((p, y) => phi.reduce((total, value, k) => total + value * game.P.terms[k][pair][y], p)),
    );
const reward = (game, phi) =>
    game.R.base.map((r, pair) => phi.reduce((total, value, k) => total + value * game.R.terms[k][pair], r));

/** The chain of a policy, a row for each state. */
const chainOf = (P, policy) =>
    policy.map((row, s) => P[0].map((_, y) => row.reduce((total, p, a) => total + p * P[s * row.length + a][y], 0)));
const distance = (policy, other) =>
    Math.max(...policy.map((row, s) => sum(row.map((x, a) => Math.abs(x - other[s][a])))));

/** The Jacobian of the population update, a column for each state whose mass moves. */
function populationJacobian(game, P, policy, meanField) {
    const J = transposed(chainOf(P, policy)),
        slopes = gradients(game.P, meanField);
    game.P.terms.forEach((term, k) => {
        const moved = dotRows(meanField, chainOf(term, policy));
        J.forEach((row, y) =>
            row.forEach((_, z) => {
                row[z] += moved[y] * slopes[k][z];
            }),
        );
    });
    return J;
}
const dotRows = (x, rows) => rows[0].map((_, y) => rows.reduce((total, row, s) => total + x[s] * row[y], 0));
/** I - J, made invertible on directions that sum to zero, where it stays what it is. */
const withoutMass = J => J.map((row, y) => row.map((x, z) => (y === z) - x + 1 / row.length));

/** The stationary law of a chain, without a subtraction, so that small shares have all digits; null if not unique. */
function stationaryLaw(chain) {
    const p = chain.map(row => [...row]),
        law = [1];
    for (let k = p.length - 1; k > 0; k--) {
        const left = sum(p[k].slice(0, k));
        if (!(left > 0)) return null;
        for (let i = 0; i < k; i++) {
            p[i][k] /= left;
            for (let j = 0; j < k; j++) if (j !== i) p[i][j] += p[i][k] * p[k][j];
        }
    }
    for (let k = 1; k < p.length; k++) law.push(sum(law.map((x, i) => x * p[i][k])));
    const total = sum(law);
    return Number.isFinite(total) ? law.map(x => x / total) : null;
}

/** Gamma_pop^inf(pi): the population that a policy leads to, by Newton's method; null where none is found. */
function stablePopulation(game, policy) {
    const at = meanField => {
        const P = transition(game, features(game.P, meanField));
        const updated = dotRows(meanField, chainOf(P, policy)),
            total = sum(updated);
        return {
            meanField,
            P,
            updated: updated.map(x => x / total),
            residual: sum(updated.map((x, s) => Math.abs(x - meanField[s]))),
        };
    };
    let now = at(policy.map(() => 1 / policy.length));
    for (let k = 0; k < 10000 && now.residual > 1e-16; k++) {
        const step = solve(
            withoutMass(populationJacobian(game, now.P, policy, now.meanField)),
            now.updated.map((x, s) => [x - now.meanField[s]]),
        );
        let next = null;
        if (step) {
            const moved = now.meanField.map((x, s) => Math.max(0, x + step[s][0]));
            next = at(moved.map(x => x / sum(moved)));
        }
        if (!next || !(next.residual <= 0.5 * now.residual)) {
            if (now.residual < 1e-14) break;
            next = at(now.updated);
        }
        now = next;
    }
    return now.residual < 1e-12 ? (stationaryLaw(chainOf(now.P, policy)) ?? now.meanField) : null;
}

/** V and Gamma_q(pi, mu), with the tables at the mean field. */
function evaluate(game, setting, policy, meanField) {
    const P = transition(game, features(game.P, meanField)),
        R = reward(game, features(game.R, meanField));
    return valueOf(game, setting, policy, P, R);
}
function valueOf(game, setting, policy, P, R) {
    const A = game.actions,
        chain = chainOf(P, policy),
        h = REGULARIZERS[setting.regularizer].value;
    const gain = policy.map((row, s) => [dot(row, R.slice(s * A, (s + 1) * A)) + h(row, setting.strength)]);
    const V = solve(
        chain.map((row, s) => row.map((x, y) => (s === y) - game.discount * x)),
        gain,
    ).map(x => x[0]);
    const q = policy.map((row, s) => row.map((_, a) => R[s * A + a] + game.discount * dot(P[s * A + a], V)));
    return { P, R, V, q, chain };
}

// ---- steps of policies ----

const softmax = x => {
    const top = Math.max(...x),
        e = x.map(v => Math.exp(v - top)),
        total = sum(e);
    return e.map(v => v / total);
};
/** The projection on the simplex. */
function project(x) {
    const top = Math.max(...x),
        falling = x.map(v => v - top).sort((a, b) => b - a);
    let threshold = 0,
        total = 0;
    falling.forEach((v, i) => {
        total += v;
        if (v > (total - 1) / (i + 1)) threshold = (total - 1) / (i + 1);
    });
    const u = x.map(v => Math.max(v - top - threshold, 0)),
        mass = sum(u);
    return u.map(v => v / mass);
}
/** The root w of w + log w = x, by Newton's method in log w from above. */
function omega(x) {
    if (x === -Infinity) return 0;
    let v = x > 1 ? Math.log(x) : x;
    for (let k = 0; k < 100; k++) {
        const step = (Math.exp(v) + v - x) / (Math.exp(v) + 1);
        v -= step;
        if (!(Math.abs(step) > 1e-16 * Math.max(1, Math.abs(v)))) break;
    }
    return Math.exp(v);
}
/** Solve log u + u / scale = target - multiplier with sum(u) = 1, the multiplier by Newton's method. */
function logPlusLinear(target, scale) {
    let multiplier = Math.max(...target) - 1 / scale,
        u = [];
    for (let k = 0; k < 100; k++) {
        const w = target.map(x => omega(x - multiplier - Math.log(scale)));
        u = w.map(x => scale * x);
        const excess = sum(u) - 1;
        if (excess <= 4e-16 * u.length) break;
        multiplier += excess / sum(u.map((x, a) => x / (1 + w[a])));
    }
    const total = sum(u);
    return u.map(x => x / total);
}
const logarithm = row => row.map(Math.log);
const TINY = 2.2250738585072014e-308;
/** Value, gradient, curvature, best response and steps with both mirror maps, all for one state. */
const REGULARIZERS = {
    entropy: {
        value: (u, t) => -t * sum(u.map(x => (x > 0 ? x * Math.log(x) : 0))),
        gradient: (x, t) => -t * (Math.log(Math.max(x, TINY)) + 1),
        curvature: (x, t) => t / x,
        best: (q, t) => softmax(q.map(x => x / t)),
        euclidean: (q, u, eta, t) =>
            logPlusLinear(
                q.map((x, a) => x / t + u[a] / (t * eta)),
                t * eta,
            ),
        kl: (q, u, eta, t) => softmax(logarithm(u).map((x, a) => (eta * q[a] + x) / (1 + eta * t))),
    },
    quadratic: {
        value: (u, t) => -0.5 * t * dot(u, u),
        gradient: (x, t) => -t * x,
        curvature: (x, t) => (x > 0 ? t : Infinity),
        best: (q, t) => project(q.map(x => x / t)),
        euclidean: (q, u, eta, t) => project(q.map((x, a) => (eta * x + u[a]) / (1 + eta * t))),
        kl: (q, u, eta, t) =>
            logPlusLinear(
                logarithm(u).map((x, a) => x + eta * q[a]),
                1 / (eta * t),
            ),
    },
};
/** Gamma_md^eta(q, pi); an infinite step size is the best response. */
function mirrorAscentStep(setting, q, policy) {
    const kind = REGULARIZERS[setting.regularizer],
        eta = setting.step;
    return policy.map((row, s) => {
        const top = Math.max(...q[s]),
            centred = q[s].map(x => x - top);
        return eta === Infinity
            ? kind.best(centred, setting.strength)
            : kind[setting.mirror](centred, row, eta, setting.strength);
    });
}
/** Gamma_eta(pi), with the population that was on the way; null where a policy has no stable population. */
function iterate(game, setting, policy) {
    const meanField = stablePopulation(game, policy);
    if (!meanField) return null;
    return { meanField, policy: mirrorAscentStep(setting, evaluate(game, setting, policy, meanField).q, policy) };
}
/** pi_0, pi_1, ... and their populations. */
function orbit(game, setting, start, steps) {
    const found = [];
    let policy = start;
    for (let k = 0; k <= steps; k++) {
        const next = iterate(game, setting, policy);
        if (!next) break;
        found.push({ policy, meanField: next.meanField });
        policy = next.policy;
    }
    return found;
}
const uniform = game => table(game.states, game.actions, () => 1 / game.actions);
/** In state s the action s (counted round) is twice as likely as each other. */
const tilted = game => table(game.states, game.actions, (s, a) => (1 + (a === s % game.actions)) / (game.actions + 1));

// ---- the equilibrium, and what is predicted there ----

/** The Jacobian of Gamma_eta, for directions that move mass from the last action to another; null if there is none. */
function jacobian(game, setting, policy, meanField) {
    const A = game.actions,
        kind = REGULARIZERS[setting.regularizer],
        t = setting.strength,
        eta = setting.step;
    const { P, V, q, chain } = evaluate(game, setting, policy, meanField);
    const updated = mirrorAscentStep(setting, q, policy);
    const directions = [];
    for (let s = 0; s < game.states; s++) for (let a = 0; a < A - 1; a++) directions.push([s, a]);
    // columns: one for each direction
    const moved = P[0].map((_, y) =>
        directions.map(([s, a]) => meanField[s] * (P[s * A + a][y] - P[s * A + A - 1][y])),
    );
    const dMeanField = solve(withoutMass(populationJacobian(game, P, policy, meanField)), moved);
    if (!dMeanField) return null;
    const dPhiP = game.P.terms.length ? product(gradients(game.P, meanField), dMeanField) : [];
    const dPhiR = game.R.terms.length ? product(gradients(game.R, meanField), dMeanField) : [];
    const termValues = game.P.terms.map(term => term.map(row => game.discount * dot(row, V)));
    const dTarget = P.map((_, pair) =>
        directions.map(
            (_, d) =>
                dPhiR.reduce((total, x, k) => total + x[d] * game.R.terms[k][pair], 0) +
                dPhiP.reduce((total, x, k) => total + x[d] * termValues[k][pair], 0),
        ),
    );
    const slope = (s, a) => q[s][a] + kind.gradient(policy[s][a], t);
    const gain = policy.map((row, s) =>
        directions.map(
            ([at, b], d) =>
                (at === s ? slope(s, b) - slope(s, A - 1) : 0) +
                row.reduce((total, p, a) => total + p * dTarget[s * A + a][d], 0),
        ),
    );
    const dV = solve(
        chain.map((row, s) => row.map((x, y) => (s === y) - game.discount * x)),
        gain,
    );
    if (!dV) return null;
    const dQ = product(P, dV).map((row, pair) => row.map((x, d) => dTarget[pair][d] + game.discount * x));
    const inverse = eta === Infinity ? 0 : 1 / eta,
        bent = x => (setting.mirror === "kl" ? 1 / x : 1);
    const result = [];
    for (let s = 0; s < game.states; s++) {
        const weight = updated[s].map(x => 1 / (kind.curvature(x, t) + (inverse ? inverse * bent(x) : 0)));
        const push = policy[s].map((x, a) =>
            directions.map(
                ([at, b], d) =>
                    dQ[s * A + a][d] + (inverse && at === s ? inverse * bent(x) * ((a === b) - (a === A - 1)) : 0),
            ),
        );
        const total = sum(weight),
            mean = directions.map((_, d) => sum(weight.map((w, a) => w * push[a][d])) / total);
        for (let a = 0; a < A - 1; a++) result.push(push[a].map((x, d) => weight[a] * (x - mean[d])));
    }
    return result;
}

/** Newton's method for a policy that is its own best response; null where it does not get there. */
function newton(game, setting, policy) {
    const at = candidate => {
        const next = iterate(game, setting, candidate);
        return next && { ...next, from: candidate, residual: distance(candidate, next.policy) };
    };
    let now = at(policy);
    for (let k = 0; now && k < 40; k++) {
        if (now.residual < 1e-12) return now.policy;
        const J = jacobian(game, setting, now.from, now.meanField);
        if (!J) return null;
        const missing = J.map((_, i) => {
            const s = Math.floor(i / (game.actions - 1)),
                a = i % (game.actions - 1);
            return [now.policy[s][a] - now.from[s][a]];
        });
        const step = solve(
            J.map((row, i) => row.map((x, j) => (i === j) - x)),
            missing,
        );
        if (!step) return null;
        let next = null;
        for (let share = 1; share > 1e-3 && !(next && next.residual < now.residual); share /= 2) {
            const moved = now.from.map((row, s) => {
                const change = row.slice(0, -1).map((_, a) => step[s * (game.actions - 1) + a][0]);
                const entries = row.map((x, a) =>
                    Math.max(
                        x + share * (a < change.length ? change[a] : -sum(change)),
                        setting.regularizer === "entropy" ? 0.1 * x : 0,
                    ),
                );
                return entries.map(x => x / sum(entries));
            });
            next = at(moved);
        }
        if (!next || !(next.residual < now.residual)) return now.residual < 1e-10 ? now.policy : null;
        now = next;
    }
    return null;
}

/** The equilibrium that is reached from a very strong regularizer, whose equilibrium is uniform, as it weakens. */
function equilibrium(game, setting) {
    const best = { ...setting, step: Infinity };
    const size =
        Math.max(...game.R.base.map(Math.abs), ...game.R.terms.flat().map(Math.abs), 1e-6) / (1 - game.discount);
    let strength = Math.max(10 * size, setting.strength),
        factor = 0.5,
        policy = uniform(game);
    policy = newton(game, { ...best, strength }, policy);
    while (policy && strength > setting.strength) {
        const next = Math.max(strength * factor, setting.strength);
        const found = newton(game, { ...best, strength: next }, policy);
        if (found) {
            [policy, strength] = [found, next];
            factor = Math.max(0.3, factor ** 1.5);
        } else if ((factor = Math.sqrt(factor)) > 0.99) return null;
    }
    return policy && { policy, meanField: stablePopulation(game, policy) };
}

/** Sigma, the limit of N Cov(mu_hat) among N agents, by doubling; null where fluctuations grow. */
function stationaryCovariance(game, policy, meanField) {
    const P = transition(game, features(game.P, meanField)),
        chain = chainOf(P, policy),
        n = meanField.length;
    let J = populationJacobian(game, P, policy, meanField);
    const columns = transposed(J).map(column => sum(column) / n);
    J = J.map(row => row.map((x, z) => x - columns[z]));
    const next = dotRows(meanField, chain);
    let covariance = table(
        n,
        n,
        (y, z) => (y === z ? next[y] : 0) - sum(meanField.map((m, s) => m * chain[s][y] * chain[s][z])),
    );
    if (!(spectralRadius(J) < 1 - 1e-10)) return null;
    for (let k = 0; k < 60; k++) {
        const more = product(product(J, covariance), transposed(J));
        covariance = covariance.map((row, y) => row.map((x, z) => x + more[y][z]));
        J = product(J, J);
    }
    return covariance;
}
const expectedDeviation = covariance => sum(covariance.map((row, s) => Math.sqrt((2 * Math.max(row[s], 0)) / Math.PI)));

/** The bias of what TD learning learns among N agents, for features that are affine; null for others. */
function learnedBias(game, setting, policy, meanField, covariance, agents) {
    if ([...game.P.links, ...game.R.links].some(link => link !== "identity") || !(Math.min(...meanField) > 0))
        return null;
    const A = game.actions;
    let m = meanField;
    for (let k = 0; k < 10000; k++) {
        // the mean field that an agent in state s meets, on average
        const met = m.map((mass, s) => m.map((x, y) => x + covariance[s][y] / (agents * mass)));
        const P = [],
            R = [];
        met.forEach((field, s) => {
            const phiP = features(game.P, field),
                phiR = features(game.R, field);
            for (let a = 0; a < A; a++) {
                const pair = s * A + a;
                P.push(
                    game.P.base[pair].map((p, y) =>
                        phiP.reduce((total, x, j) => total + x * game.P.terms[j][pair][y], p),
                    ),
                );
                R.push(phiR.reduce((total, x, j) => total + x * game.R.terms[j][pair], game.R.base[pair]));
            }
        });
        const updated = dotRows(m, chainOf(P, policy)),
            total = sum(updated),
            next = updated.map(x => x / total);
        const change = sum(next.map((x, s) => Math.abs(x - m[s])));
        m = next;
        if (change <= 1e-14) {
            const q = valueOf(game, setting, policy, P, R).q,
                exact = evaluate(game, setting, policy, meanField).q;
            return Math.max(...q.flatMap((row, s) => row.map((x, a) => Math.abs(x - exact[s][a]))));
        }
    }
    return null;
}
