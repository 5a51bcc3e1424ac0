// SPDX-License-Identifier: MIT
// Asks GET /v1/live every two seconds and shows what came between two answers. Texts of clients and
// origins only ever become text nodes.
"use strict";

const INTERVAL_MS = 2000;
const POINTS = 150; // five minutes
const OUTCOMES = ["hit", "stale", "revalidated", "miss", "pass", "handler", "error"];
const COLOURS = ["#2e9e5b", "#c58b12", "#1f9bb5", "#3b73e0", "#8a6fd6", "#7d8794", "#d3453b"];
const at = (id) => document.getElementById(id);
const sum = (numbers) => numbers.reduce((total, each) => total + each, 0);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
let before = null;

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; n >= 1024 && unit < units.length - 1; unit++) n /= 1024;
  return `${n.toFixed(unit > 0 && n < 10 ? 1 : 0)} ${units[unit]}`;
}

function rate(n) {
  return n >= 100 ? n.toFixed(0) : n.toFixed(1);
}

// The bound of the histogram below which a share of what came lies; null: nothing came.
function percentile(bounds, counts, share) {
  const total = sum(counts);
  let seen = 0;
  for (let i = 0; i < counts.length && total > 0; i++) {
    seen += counts[i];
    if (seen >= share * total) return bounds[Math.min(i, bounds.length - 1)];
  }
  return null;
}

function table(id, head, rows) {
  const line = (cells, tag) => {
    const row = document.createElement("tr");
    for (const cell of cells) {
      const place = document.createElement(tag);
      place.textContent = cell === null ? "–" : cell;
      row.append(place);
    }
    return row;
  };
  at(id).replaceChildren(line(head, "th"), ...rows.map((row) => line(row, "td")));
}

function facts(id, pairs) {
  at(id).replaceChildren(...pairs.map(([name, value]) => {
    const pair = document.createElement("div");
    const term = document.createElement("dt");
    const told = document.createElement("dd");
    term.textContent = name;
    told.textContent = value;
    pair.append(term, told);
    return pair;
  }));
}

function chart(id, names, colours, stacked, max) {
  const soft = colour("--soft"), line = colour("--line");
  const ticks = { color: soft, maxTicksLimit: 5 };
  return new Chart(at(id), {
    type: "line",
    data: {
      labels: [],
      datasets: names.map((name, i) => ({
        label: name, data: [], borderColor: colours[i], backgroundColor: colours[i] + "55",
        borderWidth: 1.5, pointRadius: 0, fill: stacked, tension: 0, spanGaps: true,
      })),
    },
    options: {
      animation: false, maintainAspectRatio: false, interaction: { mode: "index", intersect: false },
      scales: {
        x: { ticks: { ...ticks, maxTicksLimit: 4, maxRotation: 0 }, grid: { color: line } },
        y: { stacked, beginAtZero: true, max, ticks, grid: { color: line } },
      },
      plugins: { legend: { labels: { color: soft, boxWidth: 10, boxHeight: 10 } } },
    },
  });
}

const charts = {
  traffic: chart("traffic", OUTCOMES, COLOURS, true),
  ratio: chart("ratio", ["hits"], [COLOURS[0]], false, 100),
  latency: chart("latency", ["p50", "p95", "p99"], [COLOURS[0], COLOURS[1], COLOURS[6]], false),
};

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const each of Object.values(charts)) {
    for (const axis of Object.values(each.options.scales)) {
      axis.ticks.color = colour("--soft");
      axis.grid.color = colour("--line");
    }
    each.options.plugins.legend.labels.color = colour("--soft");
    each.update();
  }
});

function push(name, values) {
  const data = charts[name].data;
  data.labels.push(new Date().toTimeString().slice(0, 8));
  values.forEach((value, i) => data.datasets[i].data.push(value));
  if (data.labels.length > POINTS) {
    data.labels.shift();
    data.datasets.forEach((set) => set.data.shift());
  }
  charts[name].update();
}

function show(live) {
  const seconds = (live.mono_ms - before.mono_ms) / 1000;
  const now = live.numbers, per = (name) => (now[name] - before.numbers[name]) / seconds;
  const old = (list, name) => before[list].find((each) => each.name === name);
  const times = live.times.map((count, i) => count - before.times[i]);
  const shares = [0.5, 0.95, 0.99].map((share) => percentile(live.bounds_ms, times, share));
  const hits = per("hit") + per("stale") + per("revalidated");
  const looked = hits + per("miss") + per("pass");
  const ratio = looked > 0 ? 100 * hits / looked : null;

  push("traffic", OUTCOMES.map(per));
  push("ratio", [ratio]);
  push("latency", shares);
  facts("now", [
    ["requests/s", rate(sum(OUTCOMES.map(per)))],
    ["hit ratio", ratio === null ? "–" : `${ratio.toFixed(1)} %`],
    ["p95", shares[1] === null ? "–" : `≤ ${shares[1]} ms`],
    ["5xx/s", rate(per("status_5xx"))],
    ["to clients", `${bytes(per("bytes_sent"))}/s`],
    ["from origins", `${bytes(per("origin_bytes"))}/s`],
    ["connections", now.connections],
    ["flights", now.flights],
    ["CPU", `${(100 * live.cpu).toFixed(0)} %`],
    ["memory", bytes(now.resident_bytes)],
  ]);
  table("tiers", ["", "bytes", "objects", "hits/s"], [
    ["RAM", bytes(now.hot_bytes), now.hot_objects, rate(per("hot_hits"))],
    ["disk", bytes(now.disk_bytes), now.disk_objects, rate(per("disk_hits"))],
    ["none", null, null, rate(per("tier_misses"))],
  ]);
  table("origins", ["", "req/s", "errors", "p95", "open", "waiting", "up"], live.origins.map((origin) => {
    const past = old("origins", origin.name);
    const counts = origin.times.map((count, i) => count - (past ? past.times[i] : 0));
    const slow = percentile(live.bounds_ms, counts, 0.95);
    return [origin.name, rate((origin.requests - (past ? past.requests : 0)) / seconds),
      origin.errors, slow === null ? null : `≤ ${slow} ms`, origin.open, origin.waiting,
      `${origin.servers - origin.servers_down}/${origin.servers}`];
  }));
  table("sites", ["", "req/s"], live.sites.map((site) => {
    const past = old("sites", site.name);
    return [site.name, (site.requests - (past ? past.requests : 0)) / seconds];
  }).sort((a, b) => b[1] - a[1]).slice(0, 10).map(([name, n]) => [name, rate(n)]));
  table("urls", ["", "weight"], live.urls.slice(0, 10).map((each) => [each.url, each.count]));
  at("errors").textContent = live.errors.length > 0 ? live.errors.join("\n") : "none";
}

function say(text, isBad) {
  at("state").textContent = text;
  at("state").className = isBad ? "bad" : "";
}

// The token stays in this tab, until it is closed.
function call(path, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  return fetch(path, { cache: "no-store", ...options, headers });
}

async function turn() {
  try {
    const answer = await call("/v1/live");
    at("door").hidden = answer.status !== 401;
    if (answer.status === 401) {
      const wrong = sessionStorage.getItem("token") !== null;
      throw new Error(wrong ? "the node has another token" : "the node asks for its token");
    }
    if (!answer.ok) throw new Error(`the node answers ${answer.status}`);
    const live = await answer.json();
    // A node that was started again counts from 0.
    if (before !== null && live.mono_ms > before.mono_ms && sum(live.times) >= sum(before.times)) show(live);
    before = live;
    say(`version ${live.version}`, false);
  } catch (error) {
    say(`no answer: ${error.message}`, true);
  }
  setTimeout(turn, INTERVAL_MS);
}

at("knock").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", at("token").value.trim());
  at("token").value = "";
  say("asking the node", false);
});

at("purge").addEventListener("submit", async (event) => {
  event.preventDefault();
  const what = at("what").value.trim();
  try {
    const answer = await call("/v1/purge", {
      method: "POST",
      body: JSON.stringify({ [at("scope").value]: [what], soft: at("soft").checked }),
    });
    const told = await answer.json();
    const why = [told.error, told.accepted ? `accepted: ${told.accepted}` : told.advice];
    at("purged").textContent = answer.ok ? `purged ${what}` : why.filter(Boolean).join("; ");
    at("purged").className = answer.ok ? "" : "bad";
  } catch (error) {
    at("purged").textContent = `no answer: ${error.message}`;
    at("purged").className = "bad";
  }
});

turn();
