"use strict";
// What the explorable part of the report shows, and its controls; explore_solver.js computes.

/** All that is shown of a game with a setting, {regularizer, strength, step, mirror, start, agents}. */
function experiment(game, setting, steps) {
    const best = { ...setting, step: Infinity };
    const start = setting.start === "uniform" ? uniform(game) : tilted(game);
    const found = equilibrium(game, setting);
    const covariance = found && stationaryCovariance(game, found.policy, found.meanField);
    const radius = of => (found ? spectralRadius(jacobian(game, of, found.policy, found.meanField)) : NaN);
    const away = states => found && states.map(({ policy }) => distance(policy, found.policy));
    const pma = orbit(game, setting, start, steps),
        bestResponse = orbit(game, best, start, steps);
    return {
        equilibrium: found,
        covariance,
        pma,
        bestResponse,
        distances: away(pma),
        bestDistances: away(bestResponse),
        radius: radius(setting),
        bestRadius: radius(best),
        deviation: covariance && expectedDeviation(covariance) / Math.sqrt(setting.agents),
        bias: covariance && learnedBias(game, setting, found.policy, found.meanField, covariance, setting.agents),
    };
}

/** How a list of distances ends, in words. */
function ending(distances) {
    const reached = distances.findIndex(x => x < 1e-6),
        last = distances.at(-1);
    const count = reached === 1 ? "1 step" : `${reached} steps`;
    if (reached >= 0 && last < 1e-6) return `is within 10⁻⁶ of the equilibrium after ${count}`;
    const tail = distances.slice(-20),
        before = distances.slice(-40, -20);
    return Math.max(...tail) < 0.9 * Math.max(...before)
        ? `is ${short(last)} away after ${distances.length - 1} steps, and still approaching`
        : `does not arrive: it is ${short(last)} away after ${distances.length - 1} steps`;
}
/** A number to three digits; below the rounding errors of what is shown it is 0. */
function short(x) {
    if (x === null || Number.isNaN(x)) return "–";
    if (Math.abs(x) < 1e-12) return "0";
    const digits = Number(x)
        .toPrecision(3)
        .replace(/e([+-]\d+)/, " · 10^$1");
    return digits.replace("^+", "^").replaceAll("-", "−");
}

const BLUE = "#0072b2",
    RED = "#b34700";
const element = (name, attributes, text = "") =>
    `<${name} ${Object.entries(attributes)
        .map(([key, value]) => `${key}="${value}"`)
        .join(" ")}>${text}</${name}>`;
const words = (x, y, text, anchor = "middle") => element("text", { x, y, "text-anchor": anchor }, text);
const line = (x1, y1, x2, y2, stroke, more = {}) => element("line", { x1, y1, x2, y2, stroke, ...more });

/** Draw distances to the equilibrium against the iteration, and the predicted rate. */
function drawDistances(place, seen, at) {
    const width = place.clientWidth,
        height = 300,
        left = 52,
        right = width - 14,
        top = 12,
        bottom = height - 42;
    const [pma, best] = [seen.distances, seen.bestDistances].map(all => {
        const end = all.findIndex(d => d < 1e-12);
        return end < 0 ? all : all.slice(0, end + 1);
    });
    const length = Math.max(pma.length, best.length, at + 1, 2) - 1;
    const x = k => left + ((right - left) * k) / length,
        y = d => top + ((bottom - top) * (0.5 - Math.log10(Math.max(d, 1e-12)))) / 12.5;
    let svg = "";
    for (let power = 0; power >= -12; power -= 3) {
        svg +=
            line(left, y(10 ** power), right, y(10 ** power), "#e3e7ec") +
            words(
                left - 6,
                y(10 ** power) + 4,
                power ? `10<tspan dy="-5" font-size="10">−${-power}</tspan>` : "1",
                "end",
            );
    }
    for (const k of [0, Math.round(length / 2), length]) svg += words(x(k), bottom + 17, k);
    svg += words((left + right) / 2, height - 6, "iteration k");
    svg += line(x(at), top, x(at), bottom, "#8b929c", { "stroke-dasharray": "2 3" });
    const curve = (distances, colour, square) =>
        element("polyline", {
            points: distances.map((d, k) => `${x(k)},${y(d)}`).join(" "),
            fill: "none",
            stroke: colour,
            "stroke-width": 1.5,
        }) +
        distances
            .map((d, k) =>
                square
                    ? element("rect", { x: x(k) - 2.5, y: y(d) - 2.5, width: 5, height: 5, fill: colour })
                    : element("circle", { cx: x(k), cy: y(d), r: 2.6, fill: colour }),
            )
            .join("");
    svg += curve(best, RED, true) + curve(pma, BLUE, false);
    const shown = pma.filter(d => d > 1e-11).length - 1;
    if (seen.radius < 1 && shown > 0) {
        // through the iterate that is nearest to 1e-6, as in the figures of the report
        const off = d => Math.abs(Math.log(d) - Math.log(1e-6));
        let anchor = 1;
        for (let k = 1; k <= shown; k++) if (off(pma[k]) < off(pma[anchor])) anchor = k;
        const points = pma
            .map((_, k) => pma[anchor] * seen.radius ** (k - anchor))
            .map((d, k) => (d < 3 && d > 1e-12 ? `${x(k)},${y(d)}` : ""))
            .filter(Boolean);
        svg += element("polyline", {
            points: points.join(" "),
            fill: "none",
            stroke: "#000",
            "stroke-width": 1.2,
            "stroke-dasharray": "6 4",
        });
    }
    place.innerHTML = element("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, svg);
}

/** Draw the population of both iterates, and the equilibrium's with how far N agents are from it. */
function drawPopulations(place, seen, at, agents) {
    const width = place.clientWidth,
        height = 300,
        left = 52,
        right = width - 14,
        top = 12,
        bottom = height - 42;
    const pma = seen.pma[Math.min(at, seen.pma.length - 1)].meanField;
    const best = seen.bestResponse[Math.min(at, seen.bestResponse.length - 1)].meanField;
    const spread = pma.map((_, s) => (seen.covariance ? Math.sqrt(Math.max(seen.covariance[s][s], 0) / agents) : 0));
    const central = seen.equilibrium ? seen.equilibrium.meanField : null;
    const highest =
        Math.max(
            ...[...seen.pma, ...seen.bestResponse].flatMap(each => each.meanField),
            ...(central ? central.map((m, s) => m + spread[s]) : []),
        ) * 1.04;
    const each = (right - left) / pma.length,
        x = s => left + each * (s + 0.5),
        y = m => bottom - ((bottom - top) * Math.max(m, 0)) / highest;
    let svg = "";
    for (let share = 0; share <= 4; share++) {
        const m = (highest * share) / 4;
        svg += line(left, y(m), right, y(m), "#e3e7ec") + words(left - 6, y(m) + 4, m.toFixed(2), "end");
    }
    pma.forEach((m, s) => {
        const w = each * 0.32;
        svg += element("rect", { x: x(s) - w, y: y(m), width: w, height: bottom - y(m), fill: BLUE });
        svg += element("rect", {
            x: x(s),
            y: y(best[s]),
            width: w,
            height: bottom - y(best[s]),
            fill: "#fff",
            stroke: RED,
            "stroke-width": 1.5,
        });
        if (central) {
            svg += line(x(s) - each * 0.42, y(central[s]), x(s) + each * 0.42, y(central[s]), "#000", {
                "stroke-width": 2,
            });
            svg += line(x(s), y(central[s] - spread[s]), x(s), y(central[s] + spread[s]), "#000", {
                "stroke-width": 1.2,
            });
        }
        if (pma.length <= 12 || s % 2 === 0) svg += words(x(s), bottom + 17, s);
    });
    svg += words((left + right) / 2, height - 6, "state");
    place.innerHTML = element("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, svg);
}

/** Connect the controls of the section with the id "explore". */
function explore(zoo, steps = 100) {
    const get = id => document.getElementById(`explore-${id}`),
        tell = (id, text) => {
            get(id).textContent = text;
        };
    let seen = null,
        setting = null,
        waiting = 0,
        playing = 0;
    const game = () => zoo[get("game").selectedIndex];
    const power = id => 10 ** Number(get(id).value);
    zoo.forEach(each => get("game").add(new Option(`${each.name} (${each.states} states, ${each.actions} actions)`)));

    function begin() {
        get("regularizer").value = game().regularizer;
        // the sliders hold powers of ten, relative to the game's own strength and its inverse; a moderate step at first
        Object.assign(get("strength"), { min: -1, max: 1, step: 0.02, value: 0 });
        Object.assign(get("step"), { min: -2, max: 2, step: 0.02, value: -0.5 });
        get("iteration").value = 0;
        renew();
    }
    function renew() {
        setting = {
            regularizer: get("regularizer").value,
            mirror: get("mirror").value,
            start: get("start").value,
            strength: game().strength * power("strength"),
            step: power("step") / game().strength,
            agents: Math.round(power("agents")),
        };
        const value = (id, text) => {
            tell(`${id}-shown`, text);
            get(id).setAttribute("aria-valuetext", text);
        };
        value("strength", short(setting.strength));
        value("step", `${short(setting.step)}, η τ = ${short(setting.step * setting.strength)}`);
        value("agents", setting.agents.toLocaleString("en"));
        seen = experiment(game(), setting, steps);
        get("iteration").max = Math.max(seen.pma.length, seen.bestResponse.length) - 1;
        const found = seen.equilibrium;
        tell(
            "radius",
            found && !Number.isNaN(seen.radius)
                ? `${short(seen.radius)}: errors near the equilibrium ${seen.radius < 1 ? "shrink" : "grow"}`
                : "–",
        );
        tell(
            "best-radius",
            found ? `${short(seen.bestRadius)}: ${seen.bestRadius < 1 ? "errors shrink" : "errors grow"}` : "–",
        );
        tell("deviation", short(seen.deviation ?? NaN));
        tell(
            "bias",
            seen.bias === null || !found
                ? "not computed here (only where all states are visited, and all is affine in the mean field)"
                : short(seen.bias),
        );
        tell("pma", found ? ending(seen.distances) : "–");
        tell("best", found ? ending(seen.bestDistances) : "–");
        tell(
            "told",
            found
                ? ""
                : "No equilibrium was found on the way from a strong regularizer: no distances. A larger τ helps.",
        );
        show();
    }
    function show() {
        const at = Number(get("iteration").value);
        tell("iteration-shown", at);
        if (seen.equilibrium) drawDistances(get("distances"), seen, at);
        else get("distances").innerHTML = "<svg></svg>";
        drawPopulations(get("populations"), seen, at, setting.agents);
    }
    function stop() {
        clearInterval(playing);
        playing = 0;
        tell("play", "Play");
    }
    get("game").addEventListener("change", () => {
        stop();
        begin();
    });
    for (const id of ["regularizer", "mirror", "start"]) get(id).addEventListener("change", renew);
    for (const id of ["strength", "step", "agents"]) {
        get(id).addEventListener("input", () => {
            clearTimeout(waiting);
            waiting = setTimeout(renew, 30);
        });
    }
    get("iteration").addEventListener("input", show);
    get("play").addEventListener("click", () => {
        if (playing) return stop();
        const slider = get("iteration");
        if (slider.value === slider.max) slider.value = 0;
        tell("play", "Stop");
        playing = setInterval(() => {
            slider.value = Number(slider.value) + 1;
            show();
            if (slider.value === slider.max) stop();
        }, 120);
    });
    addEventListener("resize", show);
    begin();
}
