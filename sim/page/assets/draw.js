// How bands look: where in the lane they lie, and in what colour.
const BANDS = {
  'down': ['--b-down', 'all'], 'lost disk': ['--b-disklost', 'all'], 'pause': ['--b-pause', 'all'], 'suspend': ['--b-pause', 'all'],
  'isolate': ['--b-cut', 'low'], 'partition': ['--b-cut', 'low'], 'cut': ['--b-cut', 'low'],
  'hold': ['--b-slow', 'low'], 'slow': ['--b-slow', 'low'], 'refuse': ['--b-slow', 'low'], 'duplicate': ['--b-slow', 'low'],
  'disk': ['--b-disk', 'low'], 'skew': ['--b-clock', 'edge'], 'drift': ['--b-clock', 'edge'], 'failpoint': ['--b-fail', 'edge'], 'lie': ['--b-fail', 'low'], 'lock': ['--b-lock', 'high'],
};
const bandLook = kind => BANDS[kind] || ['--b-disk', 'edge'];
const AXIS = 22, LABEL = 112, WORLD_HEIGHT = 36, FOLDED = 4, FACTS_MAX = 30000, ARROWS_MAX = 2500, NAMED_MAX = 40;

// Lanes draws a run on a canvas.
class Lanes {
  constructor(canvas, overview) {
    this.canvas = canvas; this.overview = overview;
    this.from = 0; this.to = 1; this.top = 0; this.moment = 0; this.selected = -1;
    this.colours = new Map();
  }

  show(run, filter) { this.run = run; this.filter = filter; this.fit(); }
  fit() { this.from = 0; this.to = this.run.end * 1.005; }

  colour(name) {
    let c = this.colours.get(name);
    if (!c) this.colours.set(name, c = getComputedStyle(document.documentElement).getPropertyValue(name).trim());
    return c;
  }

  // layout gives each lane its place. With an object, the lanes that have nothing to do
  // with it are folded, if there are many.
  layout() {
    const r = this.run, f = this.filter, n = r.lanes.length;
    this.concerned = new Uint8Array(n).fill(1);
    if (f.fold && f.object && n > 12) {
      this.concerned.fill(0);
      this.concerned[0] = 1;
      for (let i = 0; i < r.n; i++) {
        if (!(f.marks[i] && r.kind[i] === FACT && !f.isAudit(i)) && !f.way[i] || r.lane(i) < 0) continue;
        this.concerned[r.lane(i)] = 1;
        if (r.kind[i] === MESSAGE && r.fromLane(i) >= 0) this.concerned[r.fromLane(i)] = 1;
      }
    }
    const wide = this.concerned.reduce((a, b) => a + b, 0), height = Math.max(15, Math.min(52, Math.floor((this.h - AXIS - WORLD_HEIGHT - FOLDED * (n - wide)) / Math.max(1, wide - 1))));
    this.heights = []; this.tops = [];
    let y = 0;
    for (let lane = 0; lane < n; lane++) {
      this.tops.push(y);
      this.heights.push(lane === 0 ? WORLD_HEIGHT : this.concerned[lane] ? height : FOLDED);
      y += this.heights[lane];
    }
    this.full = y;
  }

  y(lane) { return AXIS + this.tops[lane] - this.top; }
  mid(lane) { return this.y(lane) + this.heights[lane] / 2; }
  x(t) { return LABEL + (t - this.from) / (this.to - this.from) * (this.w - LABEL); }
  time(x) { return this.from + (x - LABEL) / (this.w - LABEL) * (this.to - this.from); }
  topMax() { return Math.max(0, this.full - (this.h - AXIS)); }
  laneAt(y) {
    if (y < AXIS) return -1;
    for (let lane = 0; lane < this.tops.length; lane++) if (y < this.y(lane) + this.heights[lane]) return lane;
    return -1;
  }

  size(canvas) {
    const box = canvas.getBoundingClientRect(), dpr = window.devicePixelRatio || 1;
    const w = Math.max(1, Math.round(box.width)), h = Math.max(1, Math.round(box.height));
    if (canvas.width !== w * dpr || canvas.height !== h * dpr) { canvas.width = w * dpr; canvas.height = h * dpr; }
    const g = canvas.getContext('2d');
    g.setTransform(dpr, 0, 0, dpr, 0, 0);
    return [g, w, h];
  }

  draw() {
    const [g, w, h] = this.size(this.canvas);
    Object.assign(this, {g, w, h});
    this.layout();
    this.named = [];
    this.top = Math.min(Math.max(0, this.top), this.topMax());
    g.clearRect(0, 0, w, h);
    g.font = '11px system-ui, sans-serif';
    g.textBaseline = 'middle';
    this.drawLanes();
    this.drawAxis();
    g.save();
    g.beginPath(); g.rect(LABEL, AXIS, w - LABEL, h - AXIS); g.clip();
    this.drawBands();
    this.drawMessages(false);
    this.drawPoints();
    this.drawMessages(true);
    this.drawChain();
    this.drawMoment();
    g.restore();
    this.drawLabels();
    if (this.topMax() > 0) { // how far down one is
      const room = h - AXIS, size = Math.max(16, room * room / this.full);
      g.fillStyle = this.colour('--dim'); g.globalAlpha = .5;
      g.fillRect(w - 5, AXIS + (room - size) * this.top / this.topMax(), 4, size);
      g.globalAlpha = 1;
    }
    this.drawOverview();
  }

  drawLanes() {
    const g = this.g;
    for (let lane = 0; lane < this.run.lanes.length; lane++) {
      const y = this.y(lane), lh = this.heights[lane];
      if (y > this.h || y + lh < AXIS) continue;
      g.fillStyle = this.colour(lane % 2 ? '--bg' : '--lane');
      g.fillRect(0, y, this.w, lh);
    }
  }

  drawLabels() {
    const g = this.g;
    g.fillStyle = this.colour('--bg'); g.fillRect(0, 0, LABEL, AXIS);
    g.save(); g.beginPath(); g.rect(0, AXIS, LABEL, this.h); g.clip();
    for (let lane = 0; lane < this.run.lanes.length; lane++) {
      const y = this.y(lane), lh = this.heights[lane];
      if (y > this.h || y + lh < AXIS) continue;
      g.fillStyle = this.colour(lane % 2 ? '--bg' : '--lane'); g.fillRect(0, y, LABEL, lh);
      if (lh <= FOLDED) continue;
      const name = this.run.lanes[lane];
      g.fillStyle = this.colour(this.filter.node === name || this.filter.object === name ? '--accent' : lane ? '--text' : '--world');
      g.fillText(clipped(g, name, LABEL - 10), 6, y + lh / 2);
    }
    g.restore();
    g.strokeStyle = this.colour('--line'); g.beginPath(); g.moveTo(LABEL - .5, 0); g.lineTo(LABEL - .5, this.h); g.stroke();
  }

  drawAxis() {
    const g = this.g, step = niceStep((this.to - this.from) / Math.max(2, (this.w - LABEL) / 110));
    g.strokeStyle = this.colour('--line'); g.fillStyle = this.colour('--dim'); g.textAlign = 'center';
    for (let t = Math.ceil(this.from / step) * step; t <= this.to; t += step) {
      const x = Math.round(this.x(t)) + .5;
      g.beginPath(); g.moveTo(x, AXIS - 4); g.lineTo(x, this.h); g.stroke();
      if (x > LABEL + 20) g.fillText(axisText(t, step), x, AXIS / 2);
    }
    if (this.run.healed) this.mark(this.run.healed, '--held', 'healed', 1);
    this.mark(this.run.end, this.run.result.verdict === 'held' ? '--held' : '--failed', this.run.result.verdict === 'held' ? 'end' : 'failed');
    g.textAlign = 'left';
  }

  mark(t, colour, text, row = 0) {
    const g = this.g, x = Math.round(this.x(t)) + .5;
    if (x < LABEL || x > this.w + 2) return;
    g.save(); g.strokeStyle = g.fillStyle = this.colour(colour); g.setLineDash([4, 3]);
    g.beginPath(); g.moveTo(x, AXIS); g.lineTo(x, this.h); g.stroke();
    g.textAlign = 'right'; g.fillText(text, x - 4, this.h - 8 - 13 * row); g.restore();
  }

  drawBands() {
    const g = this.g;
    this.run.bands.forEach((list, lane) => {
      const y = this.y(lane), lh = this.heights[lane];
      if (y > this.h || y + lh < AXIS) return;
      for (const b of list) {
        if (b.to < this.from || b.from > this.to) continue;
        const [colour, where] = bandLook(b.kind), x = Math.max(LABEL - 2, this.x(b.from)), width = Math.max(2, Math.min(this.w + 2, this.x(b.to)) - x);
        g.fillStyle = this.colour(colour);
        if (lh <= FOLDED) { g.globalAlpha = .35; g.fillRect(x, y + 1, width, lh - 1); }
        else if (where === 'all') { g.globalAlpha = .24; g.fillRect(x, y + 1, width, lh - 2); g.globalAlpha = 1; g.fillRect(x, y + 1, 2, lh - 2); }
        else if (where === 'low') { g.globalAlpha = .85; g.fillRect(x, y + lh - 5, width, 4); g.globalAlpha = .10; g.fillRect(x, y + 1, width, lh - 2); }
        else if (where === 'high') { const mine = this.filter.object && b.label.endsWith(this.filter.object); g.globalAlpha = this.filter.object && !mine ? .25 : .9; g.fillRect(x, y + 1, width, mine ? 6 : 4); }
        else { g.globalAlpha = .8; g.fillRect(x, y + lh - 2, width, 2); }
        g.globalAlpha = 1;
        if (where === 'all' && width > 70 && lh >= 18) { g.fillText(clipped(g, b.kind, width - 8), x + 5, y + lh / 2); }
      }
    });
  }

  // drawMessages draws arrows, and in a second turn, when the facts have their names,
  // what they are called.
  drawMessages(names) {
    const r = this.run, f = this.filter, g = this.g;
    if (f.messages === 'none' || f.messages === 'object' && !f.object) return;
    const list = [];
    for (let i = r.firstAt(this.from); i < r.n && r.t[i] - r.longest <= this.to; i++) {
      if (r.kind[i] === MESSAGE && f.on[i] && r.t[i] - r.took[i] <= this.to) list.push(i);
    }
    if (names && list.length > NAMED_MAX) return;
    const stride = Math.max(1, Math.ceil(list.length / ARROWS_MAX));
    g.lineWidth = 1;
    for (let n = 0; n < list.length; n += stride) {
      const i = list[n], mine = f.way[i] === 1;
      g.globalAlpha = mine ? .9 : list.length > 400 ? .3 : .6;
      this.arrow(i, this.colour(r.missed[i] ? '--missed' : mine ? '--object' : '--message'), names);
    }
    g.globalAlpha = 1;
  }

  arrow(i, colour, named) {
    const r = this.run, g = this.g, fromLane = r.fromLane(i), lane = r.lane(i);
    if (fromLane < 0 || lane < 0) return;
    const x0 = this.x(r.t[i] - r.took[i]), x1 = this.x(r.t[i]), y0 = this.mid(fromLane), y1 = this.mid(lane);
    if (Math.max(y0, y1) < AXIS || Math.min(y0, y1) > this.h) return;
    g.strokeStyle = g.fillStyle = colour;
    if (r.missed[i]) g.setLineDash([3, 3]);
    g.beginPath(); g.moveTo(x0, y0); g.lineTo(x1, y1); g.stroke();
    g.setLineDash([]);
    const a = Math.atan2(y1 - y0, x1 - x0);
    if (r.missed[i]) { g.beginPath(); g.moveTo(x1 - 3, y1 - 3); g.lineTo(x1 + 3, y1 + 3); g.moveTo(x1 + 3, y1 - 3); g.lineTo(x1 - 3, y1 + 3); g.stroke(); }
    else { g.beginPath(); g.moveTo(x1, y1); g.lineTo(x1 - 6 * Math.cos(a - .4), y1 - 6 * Math.sin(a - .4)); g.lineTo(x1 - 6 * Math.cos(a + .4), y1 - 6 * Math.sin(a + .4)); g.fill(); }
    if (named) this.name(r.short(i), (x0 + x1) / 2 + 4, (y0 + y1) / 2);
  }

  // name writes a label where no other one is; else it is left out.
  name(text, x, y) {
    const width = this.g.measureText(text).width;
    if (x < LABEL || this.named.some(n => Math.abs(n.y - y) < 12 && x < n.x + n.width + 4 && n.x < x + width + 4)) return;
    this.named.push({x, y, width});
    this.g.fillText(text, x, y);
  }

  drawPoints() {
    const r = this.run, f = this.filter, g = this.g, first = r.firstAt(this.from), last = r.firstAt(this.to + 1);
    const stride = Math.max(1, Math.ceil((last - first) / FACTS_MAX));
    g.globalAlpha = f.object ? .35 : .75;
    const seen = new Set();
    for (let i = first; i < last; i += stride) {
      const k = r.kind[i];
      if (!f.on[i] || k === MESSAGE || k === BELIEF || k === WAIT || k === WORLD || f.marks[i] && f.object) continue;
      const x = Math.round(this.x(r.t[i])), lane = r.lane(i), key = x * 4096 + lane;
      if (lane < 0 || k === FACT && seen.has(key)) continue;
      seen.add(key);
      const y = this.mid(lane), half = Math.min(3, this.heights[lane] / 2 - 1);
      if (k === LOG) { g.globalAlpha = 1; g.fillStyle = this.colour('--warn'); g.beginPath(); g.moveTo(x, y - 5); g.lineTo(x + 5, y + 4); g.lineTo(x - 5, y + 4); g.fill(); g.globalAlpha = f.object ? .35 : .75; continue; }
      g.fillStyle = this.colour('--fact'); g.fillRect(x - 1, y - half, 2, 2 * half);
    }
    g.globalAlpha = 1;
    this.drawWorld(first, last);
    this.drawMarked();
  }

  // drawWorld has what users do above, and what faults do below.
  drawWorld(first, last) {
    const r = this.run, g = this.g, free = [-1, -1], rows = [[], []];
    for (let i = first; i < last; i++) if (r.kind[i] === WORLD) rows[r.isAction(i) ? 0 : 1].push(i);
    rows.forEach((list, row) => {
      const y = this.y(0) + WORLD_HEIGHT * (row ? .75 : .27);
      g.fillStyle = this.colour(row ? '--b-cut' : '--world');
      for (let n = 0; n < list.length; n++) {
        const i = list[n], x = this.x(r.t[i]), next = n + 1 < list.length ? this.x(r.t[list[n + 1]]) : this.w;
        g.fillRect(Math.round(x) - 1, y - 5, 2, 10);
        const room = Math.min(220, next - x - 8);
        if (x < free[row] || room < (row ? 60 : 40)) continue;
        const text = clipped(g, r.short(i), room);
        if (text.length > 2) { g.fillText(text, x + 4, y); free[row] = x + 6 + g.measureText(text).width; }
      }
    });
  }

  // drawMarked draws the facts of the object, with their names where there is room.
  drawMarked() {
    const r = this.run, g = this.g;
    if (!this.filter.object) return;
    const visible = this.filter.markList.filter(i => r.t[i] >= this.from && r.t[i] <= this.to);
    for (const i of visible) {
      if (r.kind[i] === WORLD || r.lane(i) < 0) continue;
      const audit = this.filter.isAudit(i);
      if (audit && !this.filter.audits) continue;
      const x = this.x(r.t[i]), lane = r.lane(i), y = this.mid(lane);
      g.fillStyle = this.colour('--object');
      g.beginPath(); g.arc(x, y, audit ? 2.5 : 4, 0, 7); g.fill();
      this.name(clipped(g, r.short(i), 140), x + 7, y);
    }
  }

  drawChain() {
    if (this.selected < 0) return;
    const r = this.run, g = this.g;
    g.lineWidth = 2;
    for (const i of r.chain(this.selected, 300)) {
      if (r.kind[i] === MESSAGE) this.arrow(i, this.colour('--chain'), true);
      const p = r.parent[i];
      const lane = r.lane(i);
      if (p >= 0 && lane >= 0 && r.lane(p) >= 0) { // the time on the node between two of them
        g.strokeStyle = this.colour('--chain');
        const from = r.kind[i] === MESSAGE ? r.fromLane(i) : lane, until = r.kind[i] === MESSAGE ? r.t[i] - r.took[i] : r.t[i];
        const y = this.mid(from);
        g.beginPath(); g.moveTo(this.x(r.t[p]), this.mid(r.lane(p))); g.lineTo(this.x(until), y); g.stroke();
      }
      if (lane >= 0) { g.fillStyle = this.colour('--chain'); g.beginPath(); g.arc(this.x(r.t[i]), this.mid(lane), 3, 0, 7); g.fill(); }
    }
    g.lineWidth = 1;
    const lane = r.lane(this.selected);
    if (lane >= 0) { g.strokeStyle = this.colour('--chain'); g.lineWidth = 2; g.beginPath(); g.arc(this.x(r.t[this.selected]), this.mid(lane), 7, 0, 7); g.stroke(); g.lineWidth = 1; }
  }

  drawMoment() {
    const g = this.g, x = Math.round(this.x(this.moment)) + .5;
    g.strokeStyle = this.colour('--accent'); g.beginPath(); g.moveTo(x, AXIS); g.lineTo(x, this.h); g.stroke();
  }

  // drawOverview shows the whole run: how much happens when, what is in view.
  drawOverview() {
    const [g, w, h] = this.size(this.overview), r = this.run, cells = new Float64Array(w);
    for (let i = 0; i < r.n; i++) if (r.kind[i] !== BELIEF) cells[Math.min(w - 1, Math.floor(r.t[i] / (r.end * 1.005) * w))]++;
    const most = Math.max(1, ...cells);
    g.clearRect(0, 0, w, h);
    g.fillStyle = this.colour('--message');
    for (let x = 0; x < w; x++) { const y = Math.sqrt(cells[x] / most) * (h - 8); g.fillRect(x, h - y, 1, y); }
    const at = t => t / (r.end * 1.005) * w;
    r.bands.forEach(list => { for (const b of list) if (b.kind !== 'lock') { g.fillStyle = this.colour(bandLook(b.kind)[0]); g.globalAlpha = .5; g.fillRect(at(b.from), 0, Math.max(1, at(b.to) - at(b.from)), 3); } });
    g.globalAlpha = 1;
    g.fillStyle = this.colour('--object');
    for (const i of this.filter.markList) if (!this.filter.isAudit(i)) g.fillRect(at(r.t[i]) - 1, 4, 2, h - 4);
    g.fillStyle = this.colour('--warn');
    for (let i = 0; i < r.n; i++) if (r.kind[i] === LOG) g.fillRect(at(r.t[i]), h - 6, 2, 6);
    const x0 = at(this.from), x1 = Math.max(x0 + 4, at(this.to));
    g.fillStyle = this.colour('--accent'); g.globalAlpha = .12; g.fillRect(x0, 0, x1 - x0, h); g.globalAlpha = 1;
    g.strokeStyle = this.colour('--accent'); g.strokeRect(x0 + .5, .5, x1 - x0 - 1, h - 1);
    g.fillRect(at(this.moment), 0, 1, h);
  }

  zoom(factor, x) {
    const t = this.time(x), span = Math.min(this.run.end * 1.01, Math.max(200, (this.to - this.from) * factor));
    this.from = t - (t - this.from) * span / (this.to - this.from);
    this.to = this.from + span;
    this.keep();
  }

  pan(by) { this.from += by; this.to += by; this.keep(); }
  keep() {
    const span = this.to - this.from, end = this.run.end * 1.005;
    this.from = Math.max(0, Math.min(this.from, end - span)); this.to = this.from + span;
  }

  // closeTo zooms to an item and the last of what it follows from.
  closeTo(i) {
    const r = this.run;
    let from = r.t[i];
    for (let p = r.parent[i], n = 0; p >= 0 && n < 12; p = r.parent[p], n++) {
      if (n > 1 && r.t[i] - r.t[p] > 20 * Math.max(5000, r.t[i] - from)) break; // a long wait
      from = r.t[p];
    }
    const span = Math.max(2000, (r.t[i] - from) * 1.4);
    this.from = r.t[i] - span * .85; this.to = this.from + span;
    this.keep();
  }

  // reveal moves a moment, and a lane, into view.
  reveal(t, lane) {
    if (t < this.from || t > this.to) { const span = this.to - this.from; this.from = t - span / 2; this.to = this.from + span; this.keep(); }
    if (lane === undefined || lane < 0) return;
    if (!this.tops) return;
    const lh = this.heights[lane], y = this.y(lane);
    if (y < AXIS) this.top += y - AXIS; else if (y + lh > this.h) this.top += y + lh - this.h;
  }

  // hit finds the item next to a point, -1 if there is none; what is about the object
  // comes first.
  hit(x, y) {
    const r = this.run, lane = this.laneAt(y), slack = 7 * (this.to - this.from) / (this.w - LABEL), t = this.time(x);
    let best = -1, least = Infinity;
    const first = r.firstAt(t - slack), last = r.firstAt(t + slack + 1);
    for (let i = first; i < last && i < first + 200000; i++) {
      if (!this.filter.on[i] && r.kind[i] !== WORLD || r.kind[i] === BELIEF || r.lane(i) !== lane) continue;
      const d = Math.abs(r.t[i] - t) - (this.filter.marks[i] ? slack : 0) + (r.kind[i] === MESSAGE || r.kind[i] === WAIT ? slack / 2 : 0);
      if (d < least) { least = d; best = i; }
    }
    return best >= 0 ? best : this.hitArrow(x, y);
  }

  hitArrow(x, y) {
    const r = this.run, f = this.filter;
    if (f.messages === 'none' || f.messages === 'object' && !f.object) return -1;
    let best = -1, least = 5;
    for (let i = r.firstAt(this.time(x - 8)); i < r.n && r.t[i] - r.longest <= this.time(x + 8); i++) {
      if (r.kind[i] !== MESSAGE || !f.on[i] || r.fromLane(i) < 0) continue;
      const d = distance(x, y, this.x(r.t[i] - r.took[i]), this.mid(r.fromLane(i)), this.x(r.t[i]), this.mid(r.lane(i)));
      if (d < least) { least = d; best = i; }
    }
    return best;
  }
}

// distance of a point from a line between two.
function distance(x, y, x0, y0, x1, y1) {
  const dx = x1 - x0, dy = y1 - y0, l = dx * dx + dy * dy, s = l ? Math.max(0, Math.min(1, ((x - x0) * dx + (y - y0) * dy) / l)) : 0;
  return Math.hypot(x - x0 - s * dx, y - y0 - s * dy);
}

function clipped(g, text, width) {
  if (g.measureText(text).width <= width) return text;
  let lo = 0, hi = text.length;
  while (lo < hi) { const mid = (lo + hi + 1) >> 1; if (g.measureText(text.slice(0, mid) + '…').width <= width) lo = mid; else hi = mid - 1; }
  return lo ? text.slice(0, lo) + '…' : '';
}

// niceStep is 1, 2 or 5 times a power of ten up to 10 s, then minutes and hours.
function niceStep(us) {
  for (const s of [60, 120, 300, 600, 1200, 3600, 7200, 21600, 43200, 86400]) if (us > 30e6 && us <= s * 1e6) return s * 1e6;
  if (us > 10e6 && us <= 30e6) return us <= 20e6 ? 20e6 : 30e6;
  const p = Math.pow(10, Math.floor(Math.log10(us)));
  return (us <= p ? 1 : us <= 2 * p ? 2 : us <= 5 * p ? 5 : 10) * p;
}

function axisText(t, step) {
  const s = t / 1e6, digits = step >= 1e6 ? 0 : Math.min(6, Math.ceil(-Math.log10(step / 1e6)));
  if (s < 60) return s.toFixed(digits) + 's';
  const m = Math.floor(s / 60), rest = (s - m * 60).toFixed(digits).padStart(digits ? 3 + digits : 2, '0');
  return (m >= 60 ? Math.floor(m / 60) + 'h' + String(m % 60).padStart(2, '0') : m) + 'm' + rest + 's';
}
