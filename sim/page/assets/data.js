// The kinds of items, as collect.go numbers them.
const FACT = 0, MESSAGE = 1, LOG = 2, WORLD = 3, BELIEF = 4, WAIT = 5;
const WORLD_LANE = 'users and faults';

// Run is one run of the page, unpacked. Times are microseconds.
class Run {
  constructor(raw) {
    Object.assign(this, {result: raw.result, seed: raw.seed, end: Math.max(raw.end, 1), healed: raw.healed, object: raw.object, story: raw.story, left: raw.left || [], events: raw.events, text: raw.strings});
    const items = raw.items, n = (items.t || []).length;
    this.n = n;
    this.t = new Float64Array(n);
    let t = 0;
    for (let i = 0; i < n; i++) this.t[i] = t += items.t[i];
    // bytes come as text in base64
    this.kind = Uint8Array.from(atob(items.k || ''), c => c.charCodeAt(0));
    this.node = Int32Array.from(items.n || []);
    this.parent = Int32Array.from(items.p || [], (back, i) => back ? i - back : -1);
    this.a = Int32Array.from(items.a || []);
    this.b = Int32Array.from(items.b || []);
    this.c = Int32Array.from(items.c || []);
    this.source = Int32Array.from(items.s || []);
    this.took = Float64Array.from(items.d || []);
    this.missed = new Uint8Array(n);
    for (const i of items.m || []) this.missed[i] = 1;
    this.makeLanes(raw);
    this.makeBands(raw.bands || []);
    this.makeChildren();
    this.beliefs = [];
    for (let i = 0; i < n; i++) if (this.kind[i] === BELIEF) this.beliefs.push(i);
    this.longest = 0;
    for (let i = 0; i < n; i++) if (this.kind[i] === MESSAGE && this.took[i] > this.longest) this.longest = this.took[i];
  }

  // makeLanes gives each node a lane, in the order of the scenario; others that
  // appear come after them.
  makeLanes(raw) {
    this.lanes = [WORLD_LANE];
    this.services = new Map();
    const at = new Map([[WORLD_LANE, 0]]);
    const add = name => { if (!at.has(name)) { at.set(name, this.lanes.length); this.lanes.push(name); } };
    for (const n of raw.nodes || []) { add(n.Name); this.services.set(n.Name, n.Services || []); }
    this.laneOfText = new Int32Array(this.text.length).fill(-1);
    const nodes = new Set(this.node);
    for (let i = 0; i < this.n; i++) if (this.kind[i] === MESSAGE) nodes.add(this.c[i]);
    for (const s of nodes) if (s) add(this.text[s]);
    this.text.forEach((name, s) => { if (at.has(name)) this.laneOfText[s] = at.get(name); });
    this.laneOfText[0] = 0;
  }

  makeBands(list) {
    this.bands = this.lanes.map(() => []);
    this.bandKinds = new Set();
    for (let i = 0; i + 4 < list.length; i += 5) {
      const lane = this.laneOfName(this.text[list[i]]);
      if (lane < 0) continue;
      const kind = this.text[list[i + 3]];
      this.bandKinds.add(kind);
      this.bands[lane].push({from: list[i + 1], to: list[i + 2], kind, label: this.text[list[i + 4]]});
    }
  }

  laneOfName(name) { return this.lanes.indexOf(name); }
  lane(i) { return this.kind[i] === WORLD ? 0 : this.laneOfText[this.node[i]]; }
  fromLane(i) { return this.laneOfText[this.c[i]]; }

  // makeChildren lists what follows from each item, in one array.
  makeChildren() {
    this.childAt = new Int32Array(this.n + 1);
    for (let i = 0; i < this.n; i++) if (this.parent[i] >= 0) this.childAt[this.parent[i] + 1]++;
    for (let i = 0; i < this.n; i++) this.childAt[i + 1] += this.childAt[i];
    const next = this.childAt.slice();
    this.child = new Int32Array(this.childAt[this.n]);
    for (let i = 0; i < this.n; i++) if (this.parent[i] >= 0) this.child[next[this.parent[i]]++] = i;
  }

  children(i) { return this.child.subarray(this.childAt[i], this.childAt[i + 1]); }

  // chain is an item and what it follows from, back to the first.
  chain(i, max = 5000) {
    const list = [];
    for (; i >= 0 && list.length < max; i = this.parent[i]) list.push(i);
    return list;
  }

  fields(i) {
    const text = this.text[this.c[i]];
    return text ? text.split('\n').map(l => { const at = l.indexOf('='); return [l.slice(0, at), l.slice(at + 1)]; }) : [];
  }

  // isAction: what a user does is a word and a number, anything else of the world is
  // what faults do.
  isAction(i) { return /^[\w-]+ \d+$/.test(this.text[this.b[i]]); }

  nodeName(i) { return this.text[this.node[i]]; }

  // says is an item in one line.
  says(i) {
    const x = this.text;
    switch (this.kind[i]) {
      case FACT: return x[this.a[i]] + ' ' + x[this.b[i]] + ' ' + x[this.c[i]].replaceAll('\n', ' ');
      case MESSAGE: return x[this.c[i]] + ' → ' + x[this.node[i]] + '  ' + x[this.a[i]] + ' ' + x[this.b[i]] + (this.missed[i] ? '  (not heard)' : '');
      case LOG: return x[this.a[i]] + ' ' + x[this.b[i]];
      case WORLD: return x[this.b[i]];
      case BELIEF: return x[this.a[i]] + (x[this.c[i]] ? ' believes of ' + x[this.b[i]] + ': ' + x[this.c[i]] : ' believes nothing of ' + x[this.b[i]] + ' any more');
      default: return x[this.b[i]] + ', after ' + seconds(this.took[i]);
    }
  }

  // short is a label for a lane.
  short(i) { return this.kind[i] === MESSAGE ? this.text[this.b[i]] || this.text[this.a[i]] : this.text[this.b[i]]; }

  // firstAt is the index of the first item not before a moment.
  firstAt(t) {
    let lo = 0, hi = this.n;
    while (lo < hi) { const mid = (lo + hi) >> 1; if (this.t[mid] < t) lo = mid + 1; else hi = mid; }
    return lo;
  }

  // naming marks the items that name an object: a word of a field, the end of a path,
  // what a belief is about, a node.
  naming(object) {
    const marks = new Uint8Array(this.n);
    if (!object) return marks;
    const says = this.text.map(s => s.includes(object) && s.split(/[\s=]/).some(w => w === object || w.endsWith('/' + object)));
    for (let i = 0; i < this.n; i++) {
      const k = this.kind[i];
      if (k === FACT && (says[this.c[i]] || this.text[this.node[i]] === object) || k === BELIEF && this.text[this.b[i]] === object || k === WORLD && says[this.b[i]] || k === LOG && says[this.b[i]]) marks[i] = 1;
    }
    return marks;
  }
}

// seconds writes microseconds for people.
function seconds(us) {
  const s = us / 1e6;
  if (s >= 3600) return Math.floor(s / 3600) + 'h' + String(Math.floor(s % 3600 / 60)).padStart(2, '0') + 'm' + (s % 60).toFixed(3).padStart(6, '0') + 's';
  if (s >= 60) return Math.floor(s / 60) + 'm' + (s % 60).toFixed(3).padStart(6, '0') + 's';
  return s.toFixed(3) + 's';
}

const plural = (n, what) => n.toLocaleString('en') + ' ' + what + (n === 1 ? '' : 's');

// make makes an element; text is never markup.
function make(tag, props = {}, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(props)) {
    if (k === 'class') e.className = v; else if (k.startsWith('on')) e.addEventListener(k.slice(2), v); else e[k] = v;
  }
  e.append(...children);
  return e;
}
const $ = id => document.getElementById(id);
