// Headers, Request and Response.

const nameOfField = (name) => {
  name = String(name);
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) throw new TypeError(`'${name}' is no name of a header`);
  return name.toLowerCase();
};
const valueOfField = (value) => {
  value = String(value).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
  if (/[\0\r\n]/.test(value)) throw new TypeError("a header's value has a line break or a zero in it");
  return value;
};

let flat; // names and values of headers, one after the other
let unflat; // headers of such a list, which is the host's: names are in lower case, and nothing in it is malformed

class Headers {
  #fields = new Map(); // the values of a name in lower case
  constructor(init) {
    if (init === undefined || init === null) return;
    if (typeof init !== "object") throw new TypeError("Headers takes an object, pairs or Headers");
    if (typeof init[Symbol.iterator] !== "function") init = Object.entries(init);
    for (const pair of init) {
      const [name, value, ...more] = pair;
      if (value === undefined || more.length) throw new TypeError("Headers takes pairs of a name and a value");
      this.append(name, value);
    }
  }
  static {
    flat = (headers) => {
      let all = "";
      for (const [name, values] of headers.#fields) for (const value of values) all += name + "\0" + value + "\0";
      return all;
    };
    unflat = (parts, at) => {
      const headers = new Headers();
      for (; at + 1 < parts.length; at += 2) {
        const values = headers.#fields.get(parts[at]);
        if (values) values.push(parts[at + 1]);
        else headers.#fields.set(parts[at], [parts[at + 1]]);
      }
      return headers;
    };
  }
  append(name, value) {
    name = nameOfField(name);
    value = valueOfField(value);
    const values = this.#fields.get(name);
    if (values) values.push(value);
    else this.#fields.set(name, [value]);
  }
  delete(name) { this.#fields.delete(nameOfField(name)); }
  get(name) { return this.#fields.get(nameOfField(name))?.join(", ") ?? null; }
  getSetCookie() { return [...(this.#fields.get("set-cookie") ?? [])]; }
  getAll(name) { return [...(this.#fields.get(nameOfField(name)) ?? [])]; }
  has(name) { return this.#fields.has(nameOfField(name)); }
  set(name, value) { this.#fields.set(nameOfField(name), [valueOfField(value)]); }
  forEach(f, self) { for (const [name, value] of this) f.call(self, value, name, this); }
  *entries() {
    for (const name of [...this.#fields.keys()].sort()) {
      const values = this.#fields.get(name);
      if (name === "set-cookie") for (const value of values) yield [name, value];
      else yield [name, values.join(", ")];
    }
  }
  *keys() { for (const [name] of this) yield name; }
  *values() { for (const [, value] of this) yield value; }
  [Symbol.iterator]() { return this.entries(); }
}

// A body is a text, bytes, those of the request, which the host has, or a stream.
const B = Symbol("body");
const bodyOf = (v) => {
  if (v === undefined || v === null) return null;
  if (v instanceof ReadableStream) {
    if (v.locked) throw new TypeError("the stream is read by somebody already");
    return v[B] ?? { stream: v };
  }
  if (v instanceof URLSearchParams) return { text: v.toString(), type: "application/x-www-form-urlencoded;charset=UTF-8" };
  const bytes = bytesOf(v);
  if (bytes) return { bytes: bytes.slice() };
  return { text: String(v), type: "text/plain;charset=UTF-8" };
};
const asBytes = async (body) => {
  if (!body) return new Uint8Array(0);
  if (body.stream) return readAll(body.stream);
  if (body.asked) return new Uint8Array(host.body());
  return body.bytes ?? encode(body.text);
};
const asText = async (body) => {
  if (!body) return "";
  if (body.asked) return host.text();
  if (body.text !== undefined) return body.text;
  return decode(await asBytes(body), false, false);
};

class Message {
  constructor(body, headers) {
    Object.defineProperty(this, B, { value: { of: body, used: false, stream: null }, writable: true });
    this.headers = headers;
    if (body?.type && !headers.has("content-type")) headers.set("content-type", body.type);
  }
  get bodyUsed() { return this[B].used; }
  get body() {
    const b = this[B];
    if (!b.of) return null;
    if (b.of.stream) return b.of.stream;
    return (b.stream ??= streamOf(b.of, () => { b.used = true; }));
  }
  #take() {
    const b = this[B];
    if (b.used || b.stream?.locked) throw new TypeError("the body was read already");
    b.used = b.of !== null;
    return b.of;
  }
  async text() { return asText(this.#take()); }
  async json() { return JSON.parse(await asText(this.#take())); }
  async bytes() { return asBytes(this.#take()); }
  async arrayBuffer() {
    const bytes = await asBytes(this.#take());
    return bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer;
  }
  async blob() { throw new TypeError("there are no blobs here: use arrayBuffer()"); }
  async formData() { throw new TypeError("forms are not parsed here: use new URLSearchParams(await request.text())"); }
}

const copied = (message) => {
  const b = message[B];
  if (b.used || b.stream?.locked) throw new TypeError("the body was read already, so there is no copy");
  if (b.of?.stream) throw new TypeError("a body that is a stream has no copy");
  return b.of;
};

const methods = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

const made = Symbol("made"); // in place of a URL: what a request has is known

class Request extends Message {
  #method;
  #url;
  constructor(input, init = {}) {
    if (input === made) {
      super(init.body, init.headers);
      this.#method = init.method;
      this.#url = init.url;
      return;
    }
    const from = input instanceof Request ? input : null;
    let method = String(init.method ?? from?.method ?? "GET");
    if (methods.includes(method.toUpperCase())) method = method.toUpperCase();
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(method)) throw new TypeError(`'${method}' is no method`);
    const given = init.body !== undefined && init.body !== null;
    if (given && (method === "GET" || method === "HEAD")) throw new TypeError(`a request with the method ${method} has no body`);
    let body = null;
    if (given) body = bodyOf(init.body);
    else if (from) {
      body = copied(from);
      from[B].used = body !== null;
    }
    super(body, new Headers(init.headers ?? from?.headers));
    this.#method = method;
    this.#url = from ? from.url : new URL(input).href;
  }
  get method() { return this.#method; }
  get url() { return this.#url; }
  clone() { return new Request(made, { method: this.#method, url: this.#url, headers: new Headers(this.headers), body: copied(this) }); }
}

const statuses = [204, 205, 304]; // without a body

class Response extends Message {
  #status;
  #statusText;
  constructor(body, init = {}) {
    const status = init?.status === undefined ? 200 : Math.trunc(Number(init.status));
    if (!(status >= 200 && status <= 599)) throw new RangeError(`the status of a response is between 200 and 599, not ${init.status}`);
    const of = bodyOf(body);
    if (of && statuses.includes(status)) throw new TypeError(`a response with the status ${status} has no body`);
    super(of, new Headers(init?.headers));
    this.#status = status;
    this.#statusText = String(init?.statusText ?? "");
  }
  get status() { return this.#status; }
  get statusText() { return this.#statusText; }
  get ok() { return this.#status < 300; }
  get redirected() { return false; }
  get type() { return "default"; }
  get url() { return ""; }
  clone() {
    const response = new Response(null, this);
    response[B].of = copied(this);
    return response;
  }
  static json(data, init = {}) {
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError("Response.json: the value has no JSON");
    const headers = new Headers(init?.headers);
    if (!headers.has("content-type")) headers.set("content-type", "application/json");
    return new Response(text, { ...init, headers });
  }
  static redirect(url, status = 302) {
    if (![301, 302, 303, 307, 308].includes(status)) throw new RangeError(`${status} is no status of a redirect`);
    return new Response(null, { status, headers: { location: new URL(url).href } });
  }
}

define("Headers", Headers);
define("Request", Request);
define("Response", Response);
define("fetch", async function fetch() {
  throw new TypeError("fetch: functions in JavaScript cannot reach other hosts");
});
