// URL and URLSearchParams. The host parses URLs, by the standard.

const unescaped = (text) => {
  text = text.replaceAll("+", " ");
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
const pairs = (search) => (search.startsWith("?") ? search.slice(1) : search).split("&").filter((part) => part).map((part) => {
  const at = part.indexOf("=");
  return at < 0 ? [unescaped(part), ""] : [unescaped(part.slice(0, at)), unescaped(part.slice(at + 1))];
});

let paramsOf; // makes those of a URL, which is told of changes
let setParams;

class URLSearchParams {
  #list = [];
  #changed = null;
  constructor(init = "") {
    if (init instanceof URLSearchParams) this.#list = init.#list.map((pair) => [...pair]);
    else if (init !== null && typeof init === "object" && typeof init[Symbol.iterator] === "function") {
      for (const pair of init) {
        const [name, value, ...more] = pair;
        if (value === undefined || more.length) throw new TypeError("URLSearchParams takes pairs of a name and a value");
        this.#list.push([String(name), String(value)]);
      }
    } else if (init !== null && typeof init === "object") this.#list = Object.entries(init).map(([name, value]) => [name, String(value)]);
    else this.#list = pairs(String(init));
  }
  static {
    paramsOf = (search, changed) => {
      const params = new URLSearchParams(search);
      params.#changed = changed;
      return params;
    };
    setParams = (params, search) => { params.#list = pairs(search); };
  }
  #update() { this.#changed?.(this.toString()); }
  get size() { return this.#list.length; }
  append(name, value) {
    this.#list.push([String(name), String(value)]);
    this.#update();
  }
  delete(name, value) {
    this.#list = this.#list.filter(([n, v]) => n !== String(name) || value !== undefined && v !== String(value));
    this.#update();
  }
  get(name) { return this.#list.find(([n]) => n === String(name))?.[1] ?? null; }
  getAll(name) { return this.#list.filter(([n]) => n === String(name)).map(([, v]) => v); }
  has(name, value) { return this.#list.some(([n, v]) => n === String(name) && (value === undefined || v === String(value))); }
  set(name, value) {
    const at = this.#list.findIndex(([n]) => n === String(name));
    if (at < 0) return this.append(name, value);
    this.#list = this.#list.filter(([n], i) => i <= at || n !== String(name));
    this.#list[at] = [String(name), String(value)];
    this.#update();
  }
  sort() {
    this.#list.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#update();
  }
  forEach(f, self) { for (const [name, value] of this.#list) f.call(self, value, name, this); }
  *entries() { for (const [name, value] of this.#list) yield [name, value]; }
  *keys() { for (const [name] of this.#list) yield name; }
  *values() { for (const [, value] of this.#list) yield value; }
  [Symbol.iterator]() { return this.entries(); }
  toString() { return this.#list.map(([name, value]) => `${escaped(name)}=${escaped(value)}`).join("&"); }
}

const urlFields = ["href", "origin", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];
const parseURL = (url, base) => (base === undefined ? host.url(String(url)) : host.url(String(url), String(base)));

class URL {
  #parts;
  #params;
  constructor(url, base) {
    const parts = parseURL(url, base);
    if (parts === null) throw new TypeError(`'${url}' is no valid URL${base === undefined ? "" : ` with the base '${base}'`}`);
    this.#parts = parts.split("\n");
  }
  #set(field, value) {
    const parts = host.setURL(this.#parts[0], field, String(value));
    if (parts === null && field === "href") throw new TypeError(`'${value}' is no valid URL`);
    if (parts !== null) this.#parts = parts.split("\n");
  }
  static {
    urlFields.forEach((field, i) => Object.defineProperty(URL.prototype, field, {
      get() { return this.#parts[i]; },
      set: field === "origin" ? undefined : function (value) {
        this.#set(field, value);
        if (this.#params) setParams(this.#params, this.#parts[9]);
      },
      enumerable: true, configurable: true,
    }));
  }
  get searchParams() { return (this.#params ??= paramsOf(this.#parts[9], (text) => this.#set("search", text))); }
  toString() { return this.#parts[0]; }
  toJSON() { return this.#parts[0]; }
  static canParse(url, base) { return parseURL(url, base) !== null; }
  static parse(url, base) { return URL.canParse(url, base) ? new URL(url, base) : null; }
}

define("URL", URL);
define("URLSearchParams", URLSearchParams);
