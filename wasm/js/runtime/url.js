// URL and URLSearchParams. The host parses, by the standard.

const fields = ["href", "origin", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];
const linked = Symbol("changed");

class URL {
  #parts;
  #params;
  constructor(url, base) {
    const parts = base === undefined ? host.url(String(url)) : host.url(String(url), String(base));
    if (parts === null) throw new TypeError(`'${url}' is no valid URL${base === undefined ? "" : ` with the base '${base}'`}`);
    this.#parts = parts.split("\n");
  }
  static #set(url, field, value) {
    const parts = host.setURL(url.#parts[0], field, String(value));
    if (parts === null) {
      if (field === "href") throw new TypeError(`'${value}' is no valid URL`);
      return;
    }
    url.#parts = parts.split("\n");
    if (url.#params && field !== "hash") url.#params[linked](url.#parts[9]);
  }
  static {
    fields.forEach((field, i) => Object.defineProperty(URL.prototype, field, {
      get() { return this.#parts[i]; },
      set: field === "origin" ? undefined : function (value) { URL.#set(this, field, value); },
      enumerable: true, configurable: true,
    }));
  }
  get searchParams() {
    if (!this.#params) {
      this.#params = new URLSearchParams(this.#parts[9]);
      const params = this.#params;
      params[linked] = (search) => {
        if (search !== undefined) return params[linked + 0]?.(search);
      };
      watch(params, (text) => {
        const parts = host.setURL(this.#parts[0], "search", text);
        if (parts !== null) this.#parts = parts.split("\n");
      });
    }
    return this.#params;
  }
  toString() { return this.#parts[0]; }
  toJSON() { return this.#parts[0]; }
  static canParse(url, base) { return (base === undefined ? host.url(String(url)) : host.url(String(url), String(base))) !== null; }
  static parse(url, base) { return URL.canParse(url, base) ? new URL(url, base) : null; }
}
