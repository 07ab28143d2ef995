// List shows the rows that pass the filter; only those in view are elements.
const ROW = 20, LIST_PIXELS_MAX = 8000000;
class List {
  constructor(app) {
    this.app = app;
    this.box = $('list-box');
    this.box.addEventListener('scroll', () => this.draw());
  }

  show(run, filter) { this.run = run; this.filter = filter; this.refresh(); }

  refresh() {
    const rows = this.filter.rows.length;
    this.pixels = Math.min(rows * ROW, LIST_PIXELS_MAX); // browsers bound the height of an element
    $('list-space').style.height = this.pixels + 'px';
    $('list-count').textContent = rows.toLocaleString('en') + ' of ' + this.run.n.toLocaleString('en') + ' things on this page; ' + this.run.events.toLocaleString('en') + ' events in the run';
    this.draw();
  }

  first() {
    const rows = this.filter.rows.length, room = Math.max(1, this.pixels - this.box.clientHeight);
    if (rows * ROW <= LIST_PIXELS_MAX) return Math.floor(this.box.scrollTop / ROW);
    return Math.floor(this.box.scrollTop / room * Math.max(0, rows - this.box.clientHeight / ROW));
  }

  draw() {
    const r = this.run, rows = this.filter.rows, first = this.first(), shown = Math.ceil(this.box.clientHeight / ROW) + 2, box = $('list-rows');
    box.style.top = (rows.length * ROW <= LIST_PIXELS_MAX ? first * ROW : this.box.scrollTop) + 'px';
    const list = [];
    for (let n = first; n < Math.min(rows.length, first + shown); n++) {
      const i = rows[n], kind = ['fact', 'message', 'warn', 'world', 'belief', 'wait'][r.kind[i]];
      list.push(make('div', {class: 'row ' + kind + (r.missed[i] ? ' missed' : '') + (this.filter.marks[i] && r.kind[i] !== BELIEF ? ' object' : '') + (i === this.app.selected ? ' on' : ''), onclick: () => this.app.select(i), ariaSelected: String(i === this.app.selected)},
        make('span', {class: 'at'}, seconds(r.t[i])), make('span', {class: 'node'}, r.kind[i] === MESSAGE ? '' : r.nodeName(i) || '·'), make('span', {class: 'what'}, r.says(i).slice(0, 400)), make('span', {class: 'src mono'}, r.text[r.source[i]])));
    }
    box.replaceChildren(...list);
  }

  // indexOf is the first row not before an item.
  indexOf(i) {
    const rows = this.filter.rows;
    let lo = 0, hi = rows.length;
    while (lo < hi) { const mid = (lo + hi) >> 1; if (rows[mid] < i) lo = mid + 1; else hi = mid; }
    return lo;
  }

  reveal(i) {
    const n = this.indexOf(i), rows = this.filter.rows.length, visible = this.box.clientHeight / ROW;
    const first = this.first();
    if (n < first || n >= first + visible - 1) {
      const to = Math.max(0, n - Math.floor(visible / 3));
      this.box.scrollTop = rows * ROW <= LIST_PIXELS_MAX ? to * ROW : to / Math.max(1, rows - visible) * (this.pixels - this.box.clientHeight);
    }
    this.draw();
  }
}
