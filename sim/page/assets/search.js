// Filter is what of a run is wanted: in the list, and on the lanes.
class Filter {
  constructor(run) { this.run = run; this.reset(); }

  reset() { Object.assign(this, {object: '', node: '', service: '', fact: '', warnings: false, audits: false, fold: true, messages: 'object'}); this.apply(); }

  // apply computes which items pass, and which are about the object.
  apply() {
    const r = this.run;
    this.marks = r.naming(this.object);
    this.way = this.waysTo(this.marks);
    this.rows = [];
    this.on = new Uint8Array(r.n);
    for (let i = 0; i < r.n; i++) if (this.wants(i)) { this.on[i] = 1; this.rows.push(i); }
    this.markList = [];
    for (let i = 0; i < r.n; i++) if (this.marks[i] && r.kind[i] !== BELIEF) this.markList.push(i);
  }

  // waysTo marks the messages on the way from one fact of the object to the next.
  waysTo(marks) {
    const r = this.run, way = new Uint8Array(r.n);
    if (!this.object) return way;
    for (let i = 0; i < r.n; i++) {
      if (!marks[i] || r.kind[i] !== FACT || r.text[r.a[i]] === 'client' && r.text[r.node[i]] === 'client' && !this.audits && this.isAudit(i)) continue;
      for (let j = r.parent[i], hops = 0; j >= 0 && hops < 60; j = r.parent[j], hops++) {
        if (marks[j] && r.kind[j] === FACT || way[j]) break;
        way[j] = 1;
      }
    }
    return way;
  }

  // isAudit: a fact of those who ask all the time.
  isAudit(i) {
    const r = this.run;
    return r.kind[i] === FACT && r.text[r.a[i]] === 'client' && (r.text[r.source[i]].includes('/audit/') || r.text[r.b[i]].endsWith('-told'));
  }

  wants(i) {
    const r = this.run, k = r.kind[i];
    if (this.warnings) return k === LOG || k === MESSAGE && r.missed[i] === 1 && !!this.object;
    if (!this.audits && this.isAudit(i)) return false;
    if (this.fact && !(k === FACT && r.text[r.b[i]] === this.fact)) return false;
    if (this.node && r.text[r.node[i]] !== this.node && !(k === MESSAGE && r.text[r.c[i]] === this.node) && k !== WORLD) return false;
    if (this.service && k !== WORLD && !(k === MESSAGE ? r.text[r.b[i]].startsWith(this.service + '/') : r.text[r.a[i]] === this.service)) return false;
    if (k === MESSAGE || k === WAIT) return this.messages === 'all' || this.messages === 'object' && this.way[i] === 1;
    if (this.object) return this.marks[i] === 1 || k === WORLD || k === LOG;
    return true;
  }
}

// stateAt lists what each node believes at a moment: lane to list of [service, about,
// says]. Checkpoints make that quick.
class States {
  constructor(run) {
    this.run = run;
    this.every = 2000;
    this.points = []; // Map of key to item, after so many beliefs
    let now = new Map();
    run.beliefs.forEach((i, n) => {
      if (n % this.every === 0) this.points.push(new Map(now));
      this.step(now, i);
    });
  }

  step(map, i) {
    const r = this.run, key = r.node[i] + ' ' + r.a[i] + ' ' + r.b[i];
    if (r.c[i] === 0) map.delete(key); else map.set(key, i);
  }

  at(t) {
    const r = this.run, list = r.beliefs;
    let lo = 0, hi = list.length;
    while (lo < hi) { const mid = (lo + hi) >> 1; if (r.t[list[mid]] <= t) lo = mid + 1; else hi = mid; }
    const point = Math.min(Math.floor(Math.max(lo - 1, 0) / this.every), this.points.length - 1);
    const map = point >= 0 ? new Map(this.points[point]) : new Map();
    for (let n = Math.max(point, 0) * this.every; n < lo; n++) this.step(map, list[n]);
    const byLane = r.lanes.map(() => []);
    for (const i of map.values()) byLane[r.lane(i)].push(i);
    return byLane;
  }
}

// bandsAt are the bands of a lane at a moment.
function bandsAt(run, lane, t) { return run.bands[lane].filter(b => b.from <= t && t < b.to); }

// objectsOf offers what facts name most: values that look like names of things.
function objectsOf(run, max = 400) {
  const count = new Map();
  for (let i = 0; i < run.n; i++) {
    if (run.kind[i] === BELIEF) { const s = run.text[run.b[i]]; count.set(s, (count.get(s) || 0) + 1); continue; }
    if (run.kind[i] !== FACT) continue;
    for (const [name, value] of run.fields(i)) if (['job', 'root', 'artifact', 'branch', 'order'].includes(name) && value.length > 5) count.set(value, (count.get(value) || 0) + 1);
  }
  return [...count.entries()].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, max).map(e => e[0]);
}
