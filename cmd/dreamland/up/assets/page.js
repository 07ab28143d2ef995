// The page of a universe. What others chose - names of projects, branches, paths, lines of logs - is only ever put in as text.

const at = (id) => document.getElementById(id);
const names = "http://www.w3.org/2000/svg";

/* The token comes behind the # of the address, which is sent to nobody, and stays in this tab. */
if (location.hash.startsWith("#token=")) {
  sessionStorage.setItem("token", decodeURIComponent(location.hash.slice(7)));
  history.replaceState(null, "", location.pathname);
}
const token = () => sessionStorage.getItem("token") || "";

class Refused extends Error {}

async function send(path, body) {
  const headers = { Authorization: "Bearer " + token() };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch("v1/" + path, { method: body === undefined ? "GET" : "POST", headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store" });
  if (answer.ok) return answer;
  const why = (await answer.json().catch(() => ({}))).error || answer.statusText;
  throw answer.status === 401 ? new Refused(why) : new Error(why);
}
const ask = async (path, body) => (await send(path, body)).json();

function say(text, bad = false) {
  at("said").textContent = text;
  at("said").className = bad ? "bad" : "";
}

/* make makes an element: of its text, its attributes, and what it holds. */
function make(tag, how = {}, ...inner) {
  const e = document.createElement(tag);
  for (const [key, value] of Object.entries(how)) {
    if (key === "text") e.textContent = value;
    else if (key === "class") e.className = value;
    else if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) e.setAttribute(key, value === true ? "" : value);
  }
  e.append(...inner);
  return e;
}

/* sync keeps the children of an element in step with a list: those that stay keep the focus, and what people have opened. */
function sync(into, list, key, create, update) {
  const old = new Map([...into.children].map((e) => [e.dataset.key, e]));
  let before = null;
  for (const one of list) {
    const id = key(one);
    let e = old.get(id);
    if (e) old.delete(id);
    else {
      e = create(one);
      e.dataset.key = id;
    }
    update(e, one);
    const next = before ? before.nextSibling : into.firstChild;
    if (e !== next) into.insertBefore(e, next);
    before = e;
  }
  for (const e of old.values()) e.remove();
}

const put = (e, text) => { if (e.textContent !== text) e.textContent = text; };
const part = (e, name) => e.querySelector(`[data-part="${name}"]`);
const time = (text) => new Date(text).toLocaleTimeString([], { hour12: false });
const short = (commit) => commit.slice(0, 10);

function button(text, label, act) {
  return make("button", { type: "button", text, "aria-label": label, onclick: async (event) => {
    const b = event.currentTarget, around = b.parentElement, had = document.activeElement === b;
    b.disabled = true;
    try { await act(); } catch (e) { say(e.message, true); }
    b.disabled = false;
    await refresh();
    if (!had || (document.activeElement !== document.body && document.activeElement !== b)) return;
    (b.isConnected && !b.hidden ? b : shown(around))?.focus(); // who uses the keyboard stays where he is
  } });
}

/* shown is the first button of an element that is not hidden. */
const shown = (e) => [...e.children].find((b) => b.tagName === "BUTTON" && !b.hidden);

/* Nodes. */
let members = [];
const chosen = new Set();

function toNode(name, what) {
  return button({ kill: "Kill", pause: "Pause", start: "Start" }[what], `${what} ${name}`, async () => {
    const done = await ask(`nodes/${encodeURIComponent(name)}/${what}`, {});
    say(`${done.node} is ${done.state}${done.how ? ": " + done.how : ""}`);
  });
}

function showNodes(s) {
  members = s.members;
  put(at("name"), s.name);
  document.title = `${s.name} - dreamland`;
  put(at("ready"), s.ready ? "ready" : "not all nodes are ready");
  at("ready").className = "badge " + (s.ready ? "up" : "starting");
  put(at("where"), `${s.members.length} nodes, up ${s.up}, ${s.processes ? "a process each" : "in one process"}. Projects answer at ${s.http ? s.http.replace("localhost", "PROJECT.localhost") : "no place: no node runs gateway"}, and are pushed to ${s.git}/PROJECT.git`);
  sync(at("nodes"), s.members, (n) => n.name, (n) => make("tr", {},
    make("td", {}, make("input", { type: "checkbox", "aria-label": `choose ${n.name} to be cut off`, onchange: (e) => { e.target.checked ? chosen.add(n.name) : chosen.delete(n.name); buttons(); } })),
    make("th", { scope: "row" }, make("strong", { text: n.name }), make("div", { class: "dim", text: n.services.join(", ") === n.name ? "" : n.services.join(", ") })),
    make("td", { "data-part": "state" }),
    make("td", { class: "nowrap", "data-part": "does" }, toNode(n.name, "kill"), " ", toNode(n.name, "pause"), " ", toNode(n.name, "start"))), (row, n) => {
    const state = part(row, "state");
    put(state, n.state + (n.why ? ": " + n.why : "") + (n.restarts ? `, started ${n.restarts + 1} times` : ""));
    state.className = n.state;
    const does = part(row, "does"), held = does.contains(document.activeElement) ? document.activeElement : null;
    const [kill, pause, start] = does.children;
    const runs = n.state === "up" || n.state === "starting" || n.state === "paused";
    kill.hidden = !runs;
    pause.hidden = n.state !== "up" && n.state !== "starting";
    start.hidden = n.state === "up" || n.state === "starting" || n.state === "stopping";
    if (held && held.hidden) shown(does)?.focus();
  });
  const groups = s.partition || [];
  put(at("parted"), groups.length ? "Cut: " + groups.map((g) => g.join(", ")).join("  |  ") : "");
  at("heal").disabled = groups.length === 0;
  buttons();
}

function buttons() { at("partition").disabled = chosen.size === 0 || chosen.size === members.length; }

at("partition").addEventListener("click", async () => {
  try {
    const p = await ask("partition", { groups: [[...chosen]] });
    say("cut off: " + p.groups[0].join(", "));
    chosen.clear();
    for (const box of at("nodes").querySelectorAll("input")) box.checked = false;
  } catch (e) { say(e.message, true); }
  refresh();
});
at("heal").addEventListener("click", async () => {
  try { await ask("heal", {}); say("all nodes can hear of each other"); } catch (e) { say(e.message, true); }
  refresh();
});

const signs = { up: "\u2713", starting: "\u2026", stopping: "\u2026", paused: "\u2016", down: "\u2715", failed: "!" };
let passed = new Map();

function draw(list, links, groups) {
  const svg = at("picture");
  const w = svg.clientWidth || 600, h = svg.clientHeight || 350;
  svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
  const rx = Math.max(60, Math.min(w / 2 - 95, 230)), ry = h / 2 - 32;
  const where = new Map(list.map((n, i) => {
    const a = (2 * Math.PI * i) / list.length - Math.PI / 2;
    return [n.name, { x: w / 2 + rx * Math.cos(a), y: h / 2 + ry * Math.sin(a), a }];
  }));
  const el = (tag, how, text) => {
    const e = document.createElementNS(names, tag);
    for (const [k, v] of Object.entries(how)) e.setAttribute(k, v);
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const side = new Map(groups.flatMap((g, i) => g.map((n) => [n, i])));
  const out = [], now = new Map();
  for (const l of links) {
    const a = where.get(l.a), b = where.get(l.b), key = l.a + " " + l.b;
    now.set(key, l.bytes);
    if (!a || !b) continue;
    const more = passed.has(key) ? l.bytes - passed.get(key) : 0;
    const cut = groups.length && side.get(l.a) !== side.get(l.b);
    const line = el("line", { x1: a.x, y1: a.y, x2: b.x, y2: b.y, class: cut ? "cut" : "" });
    if (!cut) {
      line.style.strokeWidth = String(Math.min(8, 0.7 + Math.log2(1 + more / 400) * 0.7));
      line.style.opacity = more > 0 ? "0.85" : "0.4";
    }
    line.append(el("title", {}, `${l.a} and ${l.b}: ${Math.round(l.bytes / 1024)} KiB so far`));
    out.push(line);
  }
  passed = now;
  for (const n of list) {
    const p = where.get(n.name), right = Math.cos(p.a) > 0.15, left = Math.cos(p.a) < -0.15;
    out.push(el("circle", { cx: p.x, cy: p.y, r: 10, class: n.state }), el("text", { x: p.x, y: p.y + 4, class: "sign" }, signs[n.state] || "?"),
      el("text", { x: p.x + (right ? 16 : left ? -16 : 0), y: p.y + (right || left ? 4 : Math.sin(p.a) > 0 ? 26 : -16), "text-anchor": right ? "start" : left ? "end" : "middle" }, n.name));
  }
  svg.setAttribute("aria-label", "The nodes, and who talks to whom: " + list.map((n) => `${n.name} is ${n.state}`).join(", "));
  svg.replaceChildren(...out);
}

/* Projects. */
function showProjects(list) {
  at("no-projects").hidden = list.length > 0;
  sync(at("projects"), list, (p) => p.project, (p) => {
    const more = make("details", { ontoggle: () => { if (more.open) showMore(p.project, more); } }, make("summary", { text: "Versions and routes" }),
      make("label", { text: "of branch " }, make("select", { "data-part": "branch", onchange: () => showMore(p.project, more) })), make("div", { "data-part": "more" }));
    return make("div", { class: "project" }, make("h3", { text: p.project }), make("ul", { "data-part": "branches" }), more);
  }, (e, p) => {
    const branches = p.branches;
    sync(part(e, "branches"), branches, (b) => b.branch, () => make("li", {}, make("a", { "data-part": "link" }), make("span", { class: "dim", "data-part": "of" })), (li, b) => {
      const link = part(li, "link");
      if (link.getAttribute("href") !== b.url) link.setAttribute("href", b.url);
      put(link, b.url);
      put(part(li, "of"), b.live && b.live !== b.commit ? `  ${b.branch}: live is ${short(b.live)}; pushed was ${short(b.commit)}: ${b.subject}` : `  ${b.branch} at ${short(b.commit)}: ${b.subject}`);
    });
    const more = e.querySelector("details"), choice = part(more, "branch");
    sync(choice, branches, (b) => b.branch, (b) => make("option", { value: b.branch, text: b.branch }), () => {});
    if (more.open && more.dataset.seen !== JSON.stringify(branches)) showMore(p.project, more);
    more.dataset.seen = JSON.stringify(branches);
  });
}

async function showMore(project, more) {
  const into = part(more, "more"), path = `projects/${encodeURIComponent(project)}/`, branch = part(more, "branch").value || "main";
  const of = "?branch=" + encodeURIComponent(branch);
  try {
    const [versions, claims] = await Promise.all([ask(path + "versions" + of), ask(path + "claims" + of)]);
    if ((part(more, "branch").value || "main") !== branch) return; // another one was chosen meanwhile
    into.replaceChildren(make("ul", {}, ...versions.map((v) => make("li", {}, make("span", { class: "mono", text: short(v.commit) }), v.live ? make("strong", { class: "ok", text: " live " }) : " ",
      ...(v.live ? [] : [button("Roll back", `make ${short(v.commit)} of ${project}, ${branch}, live again`, async () => {
        const done = await ask(path + "rollback", { branch, commit: v.commit });
        say(`live: ${short(done.commit)} of ${done.project}, ${done.branch}`);
        await showMore(project, more);
      })])))),
    make("ul", {}, ...claims.claims.map((c) => make("li", { class: "mono", text: `${c.methods.join(",")} ${c.host}${c.path} \u2192 ${c.target}` }))));
  } catch (e) { into.replaceChildren(make("p", { class: "bad", text: e.message })); }
}

/* Builds. */
function showBuilds(list) {
  sync(at("builds"), list.slice(0, 12), (j) => j.job, (j) => make("tr", {}, make("td", { class: "mono", text: time(j.accepted) }), make("td", { class: "free", text: `${j.project}, ${j.branch}` }),
    make("td", { class: "mono extra", text: short(j.commit) }), make("td", { "data-part": "state" }), make("td", { class: "nowrap" }, button("Log", `show the log of ${j.project}, ${j.branch}, ${short(j.commit)}`, () => { follow(j); }))), (row, j) => {
    const state = part(row, "state");
    put(state, j.status + (j.error ? ": " + j.error : ""));
    state.className = j.status === "success" ? "success" : j.status === "failed" || j.status === "cancelled" ? "failed" : "running";
  });
}

let following = null;
async function follow(job) {
  if (following) following.abort();
  const mine = (following = new AbortController());
  at("log-of").hidden = false;
  put(at("h-log"), `Log of ${job.project}, ${job.branch}, ${short(job.commit)}`);
  const log = at("log");
  log.replaceChildren();
  log.focus();
  try {
    const answer = await fetch(`v1/builds/${encodeURIComponent(job.job)}/log?follow=true`, { headers: { Authorization: "Bearer " + token() }, signal: mine.signal });
    let rest = "";
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines.filter(Boolean)) {
        const l = JSON.parse(line);
        const low = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
        log.append(make("div", { text: l.line ?? [l.status, l.error].filter(Boolean).join(": "), class: l.line !== undefined ? "" : l.error ? "bad" : "ok" }));
        while (log.childElementCount > 5000) log.firstChild.remove();
        if (low) log.scrollTop = log.scrollHeight;
      }
    }
  } catch (e) { if (!mine.signal.aborted) say(e.message, true); }
}
at("close-log").addEventListener("click", () => { if (following) following.abort(); at("log-of").hidden = true; at("h-builds").focus(); });

/* Functions: what each has used, on all nodes together. */
function showFunctions(list) {
  const all = new Map();
  for (const u of list) {
    const key = [u.project, u.branch, u.function].join("\n"), sum = all.get(key);
    if (!sum) { all.set(key, { ...u, nodes: [u.node] }); continue; }
    for (const part of ["requests", "errors", "refused", "fuel", "seconds", "in-flight", "waiting"]) sum[part] += u[part];
    for (const part of ["fuel-max", "memory-max", "memory-limit"]) sum[part] = Math.max(sum[part], u[part]);
    sum.nodes.push(u.node);
  }
  const sums = [...all.values()].sort((a, b) => b.requests - a.requests).slice(0, 30);
  at("no-functions").hidden = sums.length > 0;
  at("some-functions").hidden = sums.length === 0;
  const cells = ["requests", "failed", "took", "fuel", "dearest"];
  sync(at("functions"), sums, (u) => [u.project, u.branch, u.function].join("\n"), (u) => make("tr", {},
    make("th", { scope: "row", class: "free" }, make("strong", { text: u.function.replace(/^functions\//, "") }), make("div", { class: "dim", text: `${u.project}, ${u.branch}` })),
    ...cells.map((c) => make("td", { class: "mono right" + (c === "fuel" || c === "dearest" ? " extra" : ""), "data-part": c })),
    make("td", { class: "mono right" }, make("span", { "data-part": "memory" }), make("span", { class: "extra", "data-part": "limit" }), make("meter", { min: 0, class: "extra", "aria-hidden": true, "data-part": "of" }))), (row, u) => {
    const failed = u.errors + u.refused, each = u.requests || 1;
    put(part(row, "requests"), many(u.requests));
    put(part(row, "failed"), many(failed));
    part(row, "failed").classList.toggle("bad", failed > 0);
    put(part(row, "took"), ms((u.seconds * 1e6) / each));
    put(part(row, "fuel"), many(u.fuel / each));
    put(part(row, "dearest"), many(u["fuel-max"]));
    put(part(row, "memory"), bytes(u["memory-max"]));
    put(part(row, "limit"), u["memory-limit"] ? " of " + bytes(u["memory-limit"]) : "");
    const of = part(row, "of");
    of.hidden = !u["memory-limit"];
    of.max = u["memory-limit"] || 1;
    of.high = of.max * 0.8;
    of.value = u["memory-max"];
    row.title = `on ${u.nodes.join(", ")}`;
  });
}
const many = (n) => n < 10000 ? String(Math.round(n)) : n < 1e7 ? Math.round(n / 1000) + " k" : Math.round(n / 1e6) + " M";
const bytes = (n) => n < 1 << 20 ? Math.ceil(n / 1024) + " KiB" : (n / (1 << 20)).toFixed(n < 10 << 20 ? 1 : 0) + " MiB";

/* Requests. */
function showRequests(list) {
  const good = list.filter((r) => r.status < 500).length, times = list.map((r) => r.took).sort((a, b) => a - b);
  put(at("figures"), list.length ? `${list.length} of late, ${list.length - good} of them failed; half of them within ${ms(times[Math.floor((times.length - 1) / 2)])}, the slowest ${ms(times[times.length - 1])}` : "None yet.");
  sync(at("requests"), list.slice(0, 15), (r) => String(r.number), (r) => make("tr", {}, make("td", { class: "mono", text: time(r.at) }), make("td", { class: "free", text: `${r.method} ${r.host}${r.path}` }),
    make("td", { text: String(r.status), class: r.status >= 400 ? "bad" : "ok" }), make("td", { class: "mono right", text: ms(r.took) }), make("td", { class: "mono extra", text: short(r.version) })), () => {});
}
const ms = (micros) => micros < 10000 ? (micros / 1000).toFixed(1) + " ms" : Math.round(micros / 1000) + " ms";

/* All of it, again and again. */
let turn = 0, busy = false;
async function refresh() {
  if (busy || document.hidden) return;
  busy = true;
  try {
    const [s, links, jobs, requests, used] = await Promise.all([ask("status"), ask("traffic"), ask("builds").catch(() => null), ask("requests"), ask("functions").catch(() => null)]);
    at("ask").hidden = true;
    at("main").hidden = false;
    showNodes(s);
    draw(s.members, links, s.partition || []);
    if (jobs) showBuilds(jobs);
    showRequests(requests);
    if (used) showFunctions(used.functions);
    if (turn++ % 3 === 0) showProjects(await ask("projects"));
    if (at("said").dataset.lost) { delete at("said").dataset.lost; say(""); }
  } catch (e) {
    if (e instanceof Refused) {
      if (token()) say("this token is not the universe's", true);
      at("ask").hidden = false;
      at("main").hidden = true;
    } else { at("said").dataset.lost = "1"; say("the universe does not answer: " + e.message, true); }
  }
  busy = false;
}
at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", at("token").value.trim());
  refresh();
});
document.addEventListener("visibilitychange", refresh);
setInterval(refresh, 1000);
refresh();
