// App holds the page together: which run, what is selected, which moment.
class App {
  constructor(raws) {
    this.runs = raws.map(raw => new Run(raw));
    this.lanes = new Lanes($('lanes'), $('overview'));
    this.panel = new Panel(this);
    this.list = new List(this);
    this.selected = -1;
    this.listen();
    if (this.runs.length > 1) {
      $('which-label').hidden = false;
      this.runs.forEach((r, n) => $('which').append(make('option', {value: String(n)}, 'seed ' + r.seed + ', ' + r.result.verdict)));
      document.querySelector('[data-tab=beside]').hidden = false;
      drawBeside(this.runs[0], this.runs[1]);
    }
    this.show(0);
    this.tab('timeline');
  }

  show(n) {
    const run = this.run = this.runs[n], r = run.result;
    this.filter = new Filter(run);
    this.states = new States(run);
    this.selected = -1;
    this.lanes.selected = -1;
    document.title = r.scenario + ', seed ' + run.seed + ': ' + r.verdict;
    $('verdict').textContent = r.verdict; $('verdict').className = r.verdict === 'held' ? 'held' : 'failed';
    $('name').textContent = r.scenario;
    $('facts-of-run').textContent = 'seed ' + run.seed + ' · ' + plural(run.lanes.length - 1, 'node') + ' · ' + plural((r.faults || []).length, 'fault') + ' · ' + seconds(run.end) + ' of virtual time · ' + run.events.toLocaleString('en') + ' events';
    $('about').textContent = r.about || '';
    $('replay').textContent = r.replay || ''; $('replay').title = r.replay || '';
    const broken = (r.expectations || []).filter(e => !e.held && !e.not_asked).map(e => e.name + ': ' + e.detail);
    $('broken').replaceChildren(...broken.map(t => make('li', {}, t)));
    $('left').hidden = !run.left.length;
    $('left').textContent = 'To keep this page small, it leaves out: ' + run.left.join('; ') + '. The trace has everything (dreamland sim --trace).';
    $('story-text').textContent = run.story || 'Nothing failed, so there is no story. dreamland sim --explain=ID tells that of any object.';
    this.fillFilters();
    this.lanes.show(run, this.filter);
    this.panel.show(run, this.states, this.filter);
    this.list.show(run, this.filter);
    drawExpected(run); drawFaults(run, this); drawFiguresTable(run);
    this.legend();
    this.moment(run.end);
    this.setObject(run.object || '');
    this.panel.drawSelected(-1);
    if (run.object) this.focusObject();
  }

  fillFilters() {
    const run = this.run, options = (id, all, list) => $(id).replaceChildren(make('option', {value: ''}, all), ...list.map(v => make('option', {value: v}, v)));
    options('node', 'all', run.lanes.slice(1));
    const services = new Set(), facts = new Set();
    for (let i = 0; i < run.n; i++) if (run.kind[i] === FACT) { services.add(run.text[run.a[i]]); facts.add(run.text[run.b[i]]); }
    options('service', 'all', [...services].sort()); options('fact', 'all', [...facts].sort());
    $('objects').replaceChildren(...objectsOf(run).map(v => make('option', {value: v})));
    $('messages').value = this.filter.messages; $('warnings').checked = $('audits').checked = false; $('fold').checked = true;
    $('object').value = '';
  }

  legend() {
    const entries = [...this.run.bandKinds].sort().map(k => [bandLook(k)[0], k]);
    entries.push(['--object', 'the object'], ['--chain', 'what the selected follows from'], ['--warn', 'warning'], ['--world', 'users and faults']);
    $('legend').replaceChildren(...entries.map(([c, text]) => { const i = make('i'); i.style.background = 'var(' + c + ')'; return make('span', {}, i, text); }));
  }

  tab(name) {
    for (const b of document.querySelectorAll('[role=tab]')) b.setAttribute('aria-selected', String(b.dataset.tab === name));
    for (const s of document.querySelectorAll('.tab')) s.hidden = s.id !== name;
    if (name === 'figures') drawCharts(this.run, this.lanes);
    if (name === 'timeline') this.draw();
  }

  // draw draws once in a frame, however often it is asked to.
  draw() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => { this.asked = false; if (!$('timeline').hidden) this.lanes.draw(); });
  }

  refresh() {
    this.filter.apply();
    this.list.refresh();
    this.panel.drawState(this.lanes.moment);
    this.draw();
  }

  setObject(name) { $('object').value = name; this.filter.object = name; this.refresh(); }
  setNode(name) { $('node').value = name; this.filter.node = name; this.refresh(); }

  // focusObject shows the time in which the object's facts are; of a node, which has
  // facts all the time, the last ones.
  focusObject() {
    let list = this.filter.markList.filter(i => this.run.kind[i] === FACT && !this.filter.isAudit(i));
    if (!list.length) return;
    if (this.run.lanes.includes(this.filter.object)) list = list.slice(-12);
    const from = this.run.t[list[0]], to = this.run.t[list[list.length - 1]], margin = Math.max((to - from) * .15, 300000);
    this.lanes.from = Math.max(0, from - margin); this.lanes.to = Math.min(this.run.end * 1.005, to + margin);
    this.draw();
    this.list.reveal(list[list.length - 1]);
  }

  select(i) {
    this.selected = this.lanes.selected = i;
    if (i >= 0) { this.lanes.reveal(this.run.t[i], this.run.lane(i)); this.moment(this.run.t[i]); this.list.reveal(i); }
    this.panel.drawSelected(i);
    this.list.draw();
    this.draw();
  }

  moment(t) {
    this.lanes.moment = Math.max(0, Math.min(t, this.run.end));
    $('slider').value = String(Math.round(this.lanes.moment / this.run.end * 1e6));
    $('moment').textContent = seconds(this.lanes.moment);
    this.panel.drawState(this.lanes.moment);
    this.draw();
  }

  goTo(t) { this.tab('timeline'); this.lanes.reveal(t); this.moment(t); }

  // next selects the next, or previous, item that is as asked for.
  next(list, by) {
    if (!list.length) return;
    const at = this.selected >= 0 ? this.selected : this.run.firstAt(this.lanes.moment);
    let n = by > 0 ? list.findIndex(i => i > at) : list.findLastIndex(i => i < at);
    if (n < 0) n = by > 0 ? 0 : list.length - 1;
    this.select(list[n]);
  }

  step(by) {
    const rows = this.filter.rows;
    if (!rows.length) return;
    let n = this.list.indexOf(this.selected >= 0 ? this.selected : this.run.firstAt(this.lanes.moment));
    if (this.selected >= 0 && rows[n] === this.selected) n += by;
    this.select(rows[Math.max(0, Math.min(rows.length - 1, n))]);
  }

  listen() {
    for (const b of document.querySelectorAll('[role=tab]')) b.addEventListener('click', () => this.tab(b.dataset.tab));
    $('which').addEventListener('change', () => this.show(Number($('which').value)));
    $('filters').addEventListener('submit', e => e.preventDefault());
    $('object').addEventListener('change', () => { this.setObject($('object').value.trim()); this.focusObject(); });
    for (const [id, name] of [['node', 'node'], ['service', 'service'], ['fact', 'fact'], ['messages', 'messages']]) $(id).addEventListener('change', () => { this.filter[name] = $(id).value; this.refresh(); });
    for (const id of ['warnings', 'audits', 'fold']) $(id).addEventListener('change', () => { this.filter[id] = $(id).checked; this.refresh(); });
    $('clear').addEventListener('click', () => { this.filter.reset(); for (const id of ['node', 'service', 'fact', 'object']) $(id).value = ''; $('messages').value = 'object'; $('warnings').checked = $('audits').checked = false; $('fold').checked = true; this.refresh(); });
    $('fit').addEventListener('click', () => { this.lanes.fit(); this.draw(); });
    $('slider').addEventListener('input', () => this.moment(Number($('slider').value) / 1e6 * this.run.end));
    $('copy').addEventListener('click', () => navigator.clipboard && navigator.clipboard.writeText($('replay').textContent));
    $('help-button').addEventListener('click', () => $('help').showModal());
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { this.lanes.colours.clear(); this.draw(); if (!$('figures').hidden) drawCharts(this.run, this.lanes); });
    new ResizeObserver(() => { this.draw(); this.list.draw(); }).observe($('lanes-box'));
    this.listenToMouse();
    document.addEventListener('keydown', e => this.key(e));
  }

  listenToMouse() {
    const canvas = $('lanes'), overview = $('overview');
    let drag = null;
    canvas.addEventListener('wheel', e => {
      e.preventDefault();
      if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) this.lanes.pan((e.deltaX || e.deltaY) * (this.lanes.to - this.lanes.from) / 1000);
      else if (e.altKey || e.offsetX < LABEL) this.lanes.top += e.deltaY;
      else this.lanes.zoom(Math.exp(e.deltaY * .0015), e.offsetX);
      this.draw();
    }, {passive: false});
    canvas.addEventListener('pointerdown', e => { drag = {x: e.offsetX, y: e.offsetY, moved: false}; canvas.setPointerCapture(e.pointerId); });
    canvas.addEventListener('pointermove', e => {
      if (!drag) { this.hover(e); return; }
      const dx = e.offsetX - drag.x, dy = e.offsetY - drag.y;
      if (Math.abs(dx) + Math.abs(dy) > 4) drag.moved = true;
      if (!drag.moved) return;
      this.lanes.pan(-dx * (this.lanes.to - this.lanes.from) / (this.lanes.w - LABEL)); this.lanes.top -= dy;
      drag.x = e.offsetX; drag.y = e.offsetY;
      this.draw();
    });
    canvas.addEventListener('pointerup', e => { if (drag && !drag.moved) this.click(e.offsetX, e.offsetY); drag = null; });
    const jump = e => { const t = e.offsetX / overview.clientWidth * this.run.end, span = this.lanes.to - this.lanes.from; this.lanes.from = t - span / 2; this.lanes.to = this.lanes.from + span; this.lanes.keep(); this.draw(); };
    overview.addEventListener('pointerdown', e => { overview.setPointerCapture(e.pointerId); jump(e); });
    overview.addEventListener('pointermove', e => { if (e.buttons) jump(e); });
  }

  click(x, y) {
    const lane = this.lanes.laneAt(y);
    if (x < LABEL && lane > 0) { this.setNode(this.filter.node === this.run.lanes[lane] ? '' : this.run.lanes[lane]); return; }
    const i = this.lanes.hit(x, y);
    if (i >= 0) this.select(i); else this.moment(this.lanes.time(x));
  }

  hover(e) {
    const lane = this.lanes.laneAt(e.offsetY), i = e.offsetX < LABEL ? -1 : this.lanes.hit(e.offsetX, e.offsetY);
    const bands = lane > 0 ? bandsAt(this.run, lane, this.lanes.time(e.offsetX)).map(b => b.label) : [];
    $('lanes').title = [i >= 0 ? seconds(this.run.t[i]) + ' ' + this.run.says(i).slice(0, 300) : '', ...bands].filter(Boolean).join('\n');
  }

  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey || $('help').open) return;
    if (e.target.matches && e.target.matches('input:not([type=range]):not([type=checkbox]), select')) { if (e.key === 'Escape') e.target.blur(); return; }
    const span = this.lanes.to - this.lanes.from, x = this.lanes.x(this.lanes.moment), middle = x > LABEL && x < this.lanes.w ? x : (this.lanes.w + LABEL) / 2;
    const actions = {
      'ArrowLeft': () => { this.lanes.pan(-span * (e.shiftKey ? .8 : .1)); this.draw(); }, 'ArrowRight': () => { this.lanes.pan(span * (e.shiftKey ? .8 : .1)); this.draw(); },
      'ArrowUp': () => this.step(-1), 'ArrowDown': () => this.step(1),
      '+': () => { this.lanes.zoom(.6, middle); this.draw(); }, '=': () => { this.lanes.zoom(.6, middle); this.draw(); }, '-': () => { this.lanes.zoom(1.6, middle); this.draw(); },
      'PageDown': () => { this.lanes.top += 150; this.draw(); }, 'PageUp': () => { this.lanes.top -= 150; this.draw(); },
      '0': () => { this.lanes.fit(); this.draw(); },
      'n': () => this.next(this.filter.markList, 1), 'p': () => this.next(this.filter.markList, -1),
      'c': () => { if (this.selected >= 0 && this.run.parent[this.selected] >= 0) this.select(this.run.parent[this.selected]); },
      'z': () => { if (this.selected >= 0) { this.lanes.closeTo(this.selected); this.draw(); } },
      'w': () => { const list = []; for (let i = 0; i < this.run.n; i++) if (this.run.kind[i] === LOG) list.push(i); this.next(list, 1); },
      'o': () => { const f = this.selected >= 0 && this.run.kind[this.selected] === FACT ? this.run.fields(this.selected).find(([k, v]) => ['job', 'root', 'artifact'].includes(k) && v) : null; if (f) this.setObject(f[1]); },
      '/': () => { $('object').focus(); $('object').select(); }, 'Escape': () => this.select(-1), '?': () => $('help').showModal(),
    };
    if (!actions[e.key] || e.target.id === 'slider' && e.key.startsWith('Arrow')) return;
    e.preventDefault();
    actions[e.key]();
  }
}

window.app = new App(JSON.parse($('data').textContent));
const began = performance.now();
window.app.lanes.draw();
Object.assign(document.documentElement.dataset, {ready: String(Math.round(began)), drawn: String(Math.round(performance.now() - began))}); // milliseconds
