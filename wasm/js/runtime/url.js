// URL and URLSearchParams. The host parses URLs, by the standard.

const unescaped = (text) => {
  if (text.includes("+")) text = text.replaceAll("+", " ");
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch { /* bytes that are not UTF-8, or no digits: what can be read is */ }
  const bytes = [];
  for (const part of text.split(/(%[0-9A-Fa-f]{2})/)) {
    if (/^%[0-9A-Fa-f]{2}$/.test(part)) bytes.push(parseInt(part.slice(1), 16));
    else bytes.push(...encode(part));
  }
  return decode(new Uint8Array(bytes), false, true);
};
const escaped = (text) => encodeURIComponent(text.toWellFormed())
  .replace(/[!'()~]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase()).replaceAll("%20", "+");
const pairs = (search) => {
  const list = [];
  if (search[0] === "?") search = search.slice(1);
  const parts = search.includes("&") ? search.split("&") : [search];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    if (part === "") continue;
    const at = part.indexOf("=");
    list.push(at < 0 ? [unescaped(part), ""] : [unescaped(part.slice(0, at)), unescaped(part.slice(at + 1))]);
  }
  return list;
};
const valueIn = (list, name) => {
  for (let i = 0; i < list.length; i++) if (list[i][0] === name) return list[i][1];
  return null;
};

const changed = Symbol("changed"); // whom parameters tell of changes
let paramsOf; // makes those of a URL, which is told of changes
let setParams;

class URLSearchParams {
  [S] = [];
  [changed] = null;
  constructor(init) {
    if (init === undefined) return;
    if (typeof init === "string") this[S] = pairs(init);
    else if (init instanceof URLSearchParams) this[S] = init[S].map((pair) => [...pair]);
    else if (init !== null && typeof init === "object" && typeof init[Symbol.iterator] === "function") {
      for (const pair of init) {
        const [name, value, ...more] = pair;
        if (value === undefined || more.length) throw new TypeError("URLSearchParams takes pairs of a name and a value");
        this[S].push([String(name), String(value)]);
      }
    } else if (init !== null && typeof init === "object") this[S] = Object.entries(init).map(([name, value]) => [name, String(value)]);
    else this[S] = pairs(String(init));
  }
  static {
    paramsOf = (search, tell) => {
      const params = new URLSearchParams();
      params[S] = pairs(search);
      params[changed] = tell;
      return params;
    };
    setParams = (params, search) => { params[S] = pairs(search); };
  }
  #update() { this[changed]?.(this.toString()); }
  get size() { return this[S].length; }
  append(name, value) {
    this[S].push([String(name), String(value)]);
    this.#update();
  }
  delete(name, value) {
    this[S] = this[S].filter(([n, v]) => n !== String(name) || value !== undefined && v !== String(value));
    this.#update();
  }
  get(name) { return valueIn(this[S], String(name)); }
  getAll(name) { return this[S].filter(([n]) => n === String(name)).map(([, v]) => v); }
  has(name, value) { return this[S].some(([n, v]) => n === String(name) && (value === undefined || v === String(value))); }
  set(name, value) {
    const at = this[S].findIndex(([n]) => n === String(name));
    if (at < 0) return this.append(name, value);
    this[S] = this[S].filter(([n], i) => i <= at || n !== String(name));
    this[S][at] = [String(name), String(value)];
    this.#update();
  }
  sort() {
    this[S].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#update();
  }
  forEach(f, self) { for (const [name, value] of this[S]) f.call(self, value, name, this); }
  *entries() { for (const [name, value] of this[S]) yield [name, value]; }
  *keys() { for (const [name] of this[S]) yield name; }
  *values() { for (const [, value] of this[S]) yield value; }
  [Symbol.iterator]() { return this.entries(); }
  toString() { return this[S].map(([name, value]) => `${escaped(name)}=${escaped(value)}`).join("&"); }
}

const urlFields = ["href", "origin", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];
const parseURL = (url, base) => (base === undefined ? host.url(String(url)) : host.url(String(url), String(base)));

// The state of a URL: what the host has said of it, its parts once one was asked for, its parameters once they were.
const partOf = (url, i) => {
  const s = url[S];
  if (s.parts === null) {
    if (s.asked++ < 2) return host.line(s.said, i); // most ask for one or two, and a list of all is dear
    s.parts = s.said.split("\n");
  }
  return s.parts[i];
};
const setPart = (url, field, value) => {
  const said = host.setURL(partOf(url, 0), field, String(value));
  if (said === null && field === "href") throw new TypeError(`'${value}' is no valid URL`);
  if (said === null) return;
  url[S].said = said;
  url[S].parts = null;
};

class URL {
  constructor(url, base) {
    const said = parseURL(url, base);
    if (said === null) throw new TypeError(`'${url}' is no valid URL${base === undefined ? "" : ` with the base '${base}'`}`);
    this[S] = { said, asked: 0, parts: null, params: null };
  }
  get searchParams() { return (this[S].params ??= paramsOf(partOf(this, 9), (text) => setPart(this, "search", text))); }
  toString() { return partOf(this, 0); }
  toJSON() { return partOf(this, 0); }
  static canParse(url, base) { return parseURL(url, base) !== null; }
  static parse(url, base) { return URL.canParse(url, base) ? new URL(url, base) : null; }
}
urlFields.forEach((field, i) => Object.defineProperty(URL.prototype, field, {
  get() { return partOf(this, i); },
  set: field === "origin" ? undefined : function (value) {
    setPart(this, field, value);
    if (this[S].params) setParams(this[S].params, partOf(this, 9));
  },
  enumerable: true, configurable: true,
}));

define("URL", URL);
define("URLSearchParams", URLSearchParams);
