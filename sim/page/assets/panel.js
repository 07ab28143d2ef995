// Panel shows what is selected with its causes, and the state of the nodes at the
// moment of the slider.
class Panel {
  constructor(app) { this.app = app; }

  show(run, states, filter) { Object.assign(this, {run, states, filter}); }

  link(i, text) { return make('button', {class: 'link', type: 'button', onclick: () => this.app.select(i)}, text === undefined ? this.short(i) : text); }

  // short is an item without the object's name, which is above.
  short(i) {
    const says = this.run.says(i), object = this.filter.object, text = object ? says.replaceAll('=' + object, '=·').replaceAll(' of ' + object, '') : says;
    return text.length > 220 ? text.slice(0, 220) + '…' : text;
  }

  objectLink(name) { return make('button', {class: 'link', type: 'button', title: 'show this object', onclick: () => this.app.setObject(name)}, name); }

  drawSelected(i) {
    const box = $('selected');
    box.replaceChildren();
    if (i < 0) { box.append(make('p', {class: 'dim'}, 'Click on a fact, a message or a line of the list to see what caused it. Press ? for the keys.')); return; }
    const r = this.run, x = r.text;
    const title = r.kind[i] === FACT ? x[r.a[i]] + ' ' + x[r.b[i]] : r.kind[i] === MESSAGE ? (x[r.a[i]] + ' ' + x[r.b[i]]).trim() : r.kind[i] === BELIEF ? x[r.a[i]] + ' believes' : x[r.b[i]];
    box.append(make('h3', {}, title));
    const rows = [['at', seconds(r.t[i])]];
    if (r.kind[i] === MESSAGE) rows.push(['from', x[r.c[i]]], ['to', x[r.node[i]]], ['under way', seconds(r.took[i])], ['heard', r.missed[i] ? 'no, or not yet: the link is cut or held, or the conn is over' : 'yes']);
    else if (r.kind[i] !== WORLD) rows.push(['node', x[r.node[i]]]);
    if (r.source[i]) rows.push(['reported in', x[r.source[i]]]);
    if (r.kind[i] === BELIEF) rows.push(['of', x[r.b[i]]], ['says', x[r.c[i]] || 'nothing any more']);
    const table = make('table', {});
    for (const [k, v] of rows) table.append(make('tr', {}, make('td', {}, k), make('td', {}, v)));
    if (r.kind[i] === FACT) for (const [k, v] of r.fields(i)) table.append(make('tr', {}, make('td', {}, k), make('td', {}, v.length > 5 && /\d/.test(v) && /[a-z]/i.test(v) ? this.objectLink(v) : v)));
    box.append(table, make('h2', {}, 'What it follows from'), this.causes(i));
    const after = [...r.children(i)].filter(c => r.kind[c] !== BELIEF);
    if (after.length) {
      box.append(make('h2', {}, 'What follows'));
      const list = make('ul', {class: 'chain'});
      for (const c of after.slice(0, 30)) list.append(this.line(c));
      if (after.length > 30) list.append(make('li', {}, '… and ' + (after.length - 30) + ' more'));
      box.append(list);
    }
  }

  line(i) { return make('li', {}, make('span', {class: 'at'}, seconds(this.run.t[i])), make('span', {class: 'dim'}, this.run.kind[i] === MESSAGE || this.run.kind[i] === WORLD ? '' : this.run.nodeName(i) + ' '), this.link(i)); }

  // causes are those back to the user's action; a long chain is folded.
  causes(i) {
    const chain = this.run.chain(i).slice(1), list = make('ul', {class: 'chain'}), fold = 24;
    if (!chain.length) { list.append(make('li', {class: 'dim'}, 'nothing that is on this page')); return list; }
    const add = (to, part) => {
      let last = i;
      for (const c of part) {
        const gap = this.run.t[last] - (this.run.kind[last] === MESSAGE ? this.run.took[last] : 0) - this.run.t[c];
        if (gap > 500000) to.append(make('li', {class: 'wait'}, seconds(gap) + ' passed'));
        to.append(this.line(c));
        last = c;
      }
    };
    if (chain.length <= fold) add(list, chain);
    else {
      add(list, chain.slice(0, 16));
      const more = make('li', {}, make('button', {class: 'link', type: 'button', onclick: () => { list.replaceChildren(); add(list, chain); }}, '… ' + (chain.length - 20) + ' more …'));
      list.append(more);
      add(list, chain.slice(-4));
    }
    return list;
  }

  // drawState: with an object, what every node believes of it; else what each node has.
  drawState(t) {
    const r = this.run, box = $('state'), by = this.states.at(t), object = this.filter.object;
    $('state-title').textContent = (object ? 'What is believed of the object at ' : 'The nodes at ') + seconds(t);
    box.replaceChildren();
    r.lanes.forEach((name, lane) => {
      if (lane === 0 || this.filter.node && this.filter.node !== name) return;
      const faults = [...new Set(bandsAt(r, lane, t).filter(b => b.kind !== 'lock').map(b => b.kind))];
      const whole = !object || object === name, mine = whole ? by[lane] : by[lane].filter(i => r.text[r.b[i]] === object);
      if (object && !mine.length && !faults.length) return;
      const node = make('div', {class: 'node-state'}, make('b', {class: faults.some(f => bandLook(f)[1] === 'all') ? 'bad' : ''}, name), ' ', make('span', {class: 'bad-text'}, faults.join(', ')));
      if (!whole) for (const i of mine) node.append(make('div', {}, make('span', {class: 'dim'}, r.text[r.a[i]] + ' '), r.text[r.c[i]]));
      else this.summary(node, name, mine);
      box.append(node);
    });
    if (!box.children.length) box.append(make('p', {class: 'dim'}, object ? 'No node believes anything of it.' : ''));
  }

  // summary: what a node holds, then each service in a line; all of it for the node
  // that is chosen.
  summary(node, name, list) {
    const r = this.run, held = i => r.text[r.c[i]].startsWith('I hold'), replica = i => r.text[r.b[i]] === 'replica', services = new Map();
    for (const i of list) { const s = r.text[r.a[i]]; if (!services.has(s)) services.set(s, []); services.get(s).push(i); }
    const full = this.filter.node === name;
    for (const [service, items] of [...services].sort((a, b) => a[0] < b[0] ? -1 : 1)) {
      const things = items.filter(i => !replica(i)), at = items.find(replica);
      const shown = things.filter(i => full || held(i)).slice(0, full ? 500 : 5), rest = things.length - shown.length;
      const line = make('div', {}, make('span', {class: 'dim'}, service + ' '));
      if (rest > 0) line.append(make('button', {class: 'link', type: 'button', onclick: () => this.app.setNode(name)}, rest + (shown.length ? ' more' : '')), ' ');
      if (at !== undefined) line.append(make('span', {class: 'dim'}, 'replica ' + r.text[r.c[at]]));
      if (rest > 0 || at !== undefined || !shown.length) node.append(line);
      for (const i of shown) node.append(make('div', {}, make('span', {class: 'dim'}, service + ' '), this.objectLink(r.text[r.b[i]]), ': ', r.text[r.c[i]]));
    }
  }
}
