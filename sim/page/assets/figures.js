// What a run came to, as tables and charts.
function drawExpected(run) {
  const table = $('expected-table');
  table.replaceChildren(make('tr', {}, ...['', 'when', 'expectation', 'judged', '', 'means'].map(t => make('th', {}, t))));
  for (const e of run.result.expectations || []) {
    const state = e.not_asked ? 'not asked' : e.held ? 'held' : 'FAILED';
    const excused = Object.entries(e.excused || {}).map(([why, n]) => n + ' excused: ' + why).join('; ');
    table.append(make('tr', {class: e.not_asked ? 'notasked' : e.held ? '' : 'failed'}, make('td', {}, state), make('td', {}, e.when), make('td', {}, e.name), make('td', {class: 'number'}, e.evaluated ? e.evaluated.toLocaleString('en') : ''), make('td', {}, [e.detail, excused].filter(Boolean).join('; ')), make('td', {class: 'dim'}, e.means || '')));
  }
}

function drawFaults(run, app) {
  const table = $('faults-table');
  table.replaceChildren(make('tr', {}, ...['at', 'for', 'fault', ''].map(t => make('th', {}, t))));
  for (const f of run.result.faults || []) {
    table.append(make('tr', {}, make('td', {class: 'number'}, make('button', {class: 'link', onclick: () => app.goTo(f.at_ms * 1000)}, seconds(f.at_ms * 1000))), make('td', {class: 'number'}, f.for_ms ? seconds(f.for_ms * 1000) : ''), make('td', {}, f.what), make('td', {class: 'dim'}, f.without_effect ? 'without effect' : '')));
  }
  if (table.rows.length === 1) table.append(make('tr', {}, make('td', {colSpan: 4}, 'There were none.')));
}

const number = v => Number.isInteger(v) ? v.toLocaleString('en') : String(Math.round(v * 1000) / 1000);

// drawFiguresTable has a bar for each figure, as long as the figure is among those of
// its kind, which the first word of its name says.
function drawFiguresTable(run) {
  const table = $('figures-table'), names = Object.keys(run.result.figures || {}).sort(), most = {};
  for (const n of names) { const kind = n.split('.')[0]; most[kind] = Math.max(most[kind] || 0, run.result.figures[n]); }
  table.replaceChildren();
  for (const n of names) {
    const v = run.result.figures[n], bar = make('i');
    bar.style.width = (most[n.split('.')[0]] > 0 ? Math.max(0, v / most[n.split('.')[0]] * 100) : 0) + '%';
    table.append(make('tr', {}, make('td', {}, n), make('td', {class: 'number'}, number(v)), make('td', {class: 'bar'}, bar)));
  }
}

// series are counts over the run, in so many steps.
function series(run, steps) {
  const at = t => Math.min(steps - 1, Math.floor(t / run.end * steps)), zero = () => new Float64Array(steps), all = new Map();
  const add = (name, t, by = 1) => { if (!all.has(name)) all.set(name, zero()); all.get(name)[at(t)] += by; };
  for (let i = 0; i < run.n; i++) {
    if (run.kind[i] === FACT && run.text[run.a[i]] !== 'client') add(run.text[run.a[i]] + ' ' + run.text[run.b[i]], run.t[i]);
    if (run.kind[i] === MESSAGE) { add('messages', run.t[i]); if (run.missed[i]) add('messages not heard', run.t[i]); }
    if (run.kind[i] === LOG) add('warnings', run.t[i]);
  }
  const lasting = {'nodes down or paused': b => bandLook(b.kind)[1] === 'all', 'locks held': b => b.kind === 'lock', 'links of nodes disturbed': b => bandLook(b.kind)[1] === 'low'};
  for (const [name, is] of Object.entries(lasting)) {
    const line = zero();
    let any = false;
    for (const list of run.bands) for (const b of list) if (is(b)) { any = true; for (let k = at(b.from); k <= at(b.to); k++) line[k]++; }
    if (any) all.set(name, line);
  }
  const first = ['nodes down or paused', 'links of nodes disturbed', 'locks held', 'messages', 'messages not heard', 'warnings'];
  const sum = l => l.reduce((a, b) => a + b, 0);
  return [...all.entries()].sort((a, b) => (first.includes(b[0]) - first.includes(a[0])) || (first.includes(a[0]) ? first.indexOf(a[0]) - first.indexOf(b[0]) : sum(b[1]) - sum(a[1]))).slice(0, 24);
}

function drawCharts(run, lanes) {
  const box = $('charts'), steps = 120;
  box.replaceChildren();
  for (const [name, line] of series(run, steps)) {
    const most = Math.max(...line), canvas = make('canvas');
    const lasting = name.startsWith('nodes') || name.startsWith('links') || name.startsWith('locks');
    box.append(make('div', {class: 'chart'}, make('div', {}, make('b', {}, name), make('span', {}, lasting ? 'up to ' + most + ' at once' : number(line.reduce((a, b) => a + b, 0)) + ' in all')), canvas));
    const [g, w, h] = lanes.size(canvas);
    g.fillStyle = lanes.colour(name.includes('not heard') || name.startsWith('nodes') ? '--b-down' : name === 'warnings' ? '--warn' : name.startsWith('locks') ? '--b-lock' : name.startsWith('links') ? '--b-cut' : '--accent');
    for (let k = 0; k < steps; k++) { const y = most ? line[k] / most * (h - 4) : 0; g.fillRect(k * w / steps, h - y, Math.max(1, w / steps - 1), y); }
    g.fillStyle = lanes.colour('--line'); g.fillRect(0, h - 1, w, 1);
  }
}

// drawBeside compares two runs.
function drawBeside(a, b) {
  $('beside-text').textContent = 'Seed ' + a.seed + ' ' + a.result.verdict + ', seed ' + b.seed + ' ' + b.result.verdict + '. Choose above which of the two the other tabs show.';
  const table = $('beside-table'), names = [...new Set([...Object.keys(a.result.figures || {}), ...Object.keys(b.result.figures || {})])].sort();
  table.replaceChildren(make('tr', {}, ...['', 'seed ' + a.seed, 'seed ' + b.seed].map(t => make('th', {}, t))));
  const rows = [[], []]; // those that differ, and the others
  const row = (name, x, y) => rows[x === y ? 1 : 0].push(make('tr', {class: x === y ? '' : 'differs'}, make('td', {}, name), make('td', {class: 'number'}, x), make('td', {class: 'number'}, y)));
  const verdicts = r => new Map((r.result.expectations || []).map(e => [e.when + ' ' + e.name, e.not_asked ? 'not asked' : e.held ? 'held' : 'FAILED']));
  const va = verdicts(a), vb = verdicts(b);
  for (const name of va.keys()) row(name, va.get(name), vb.get(name) || '');
  for (const n of names) row(n, n in a.result.figures ? number(a.result.figures[n]) : '', n in b.result.figures ? number(b.result.figures[n]) : '');
  table.append(...rows[0], ...rows[1]);
}
