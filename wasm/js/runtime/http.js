// Headers, Request and Response. What a request does not ask for is not made: each instruction here is part of every request.

const isName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const nameOfField = (given) => {
  const name = host.field(String(given), "");
  if (name === "") throw new TypeError(`'${given}' is no name of a header`);
  return name;
};

// The state of Headers: the value of a name, or a list of several.

const addField = (fields, given, value, instead) => {
  given = String(given);
  value = String(value);
  let name = host.field(given, value); // in lower case, and "" if the host does not take the name or the value as they are
  if (name === "") {
    name = nameOfField(given);
    value = value.trim();
    if (host.field(given, value) === "") throw new TypeError("a header's value has a line break or a zero in it");
  }
  const before = instead ? undefined : fields[name];
  fields[name] = before === undefined ? value : typeof before === "string" ? [before, value] : [...before, value];
};
const fillFields = (fields, init) => {
  if (typeof init !== "object") throw new TypeError("Headers takes an object, pairs or Headers");
  if (init[S] !== undefined && init instanceof Headers) {
    for (const name in init[S]) fields[name] = init[S][name];
  } else if (typeof init[Symbol.iterator] === "function") {
    for (const pair of init) {
      const [name, value, ...more] = pair;
      if (value === undefined || more.length) throw new TypeError("Headers takes pairs of a name and a value");
      addField(fields, name, value);
    }
  } else {
    const names = Object.keys(init);
    for (let i = 0; i < names.length; i++) addField(fields, names[i], init[names[i]]);
  }
};
const joined = (value) => (value === undefined ? null : typeof value === "string" ? value : value.join(", "));

class Headers {
  constructor(init) {
    const fields = (this[S] = { __proto__: null });
    if (init !== undefined && init !== null) fillFields(fields, init);
  }
  append(name, value) { addField(this[S], name, value); }
  delete(name) { delete this[S][nameOfField(name)]; }
  get(name) { return joined(this[S][nameOfField(name)]); }
  getAll(name) {
    const value = this[S][nameOfField(name)];
    return value === undefined ? [] : typeof value === "string" ? [value] : [...value];
  }
  getSetCookie() { return this.getAll("set-cookie"); }
  has(name) { return this[S][nameOfField(name)] !== undefined; }
  set(name, value) { addField(this[S], name, value, true); }
  forEach(f, self) { for (const [name, value] of this) f.call(self, value, name, this); }
  *entries() {
    for (const name of Object.keys(this[S]).sort()) {
      if (name === "set-cookie") for (const value of this.getAll(name)) yield [name, value];
      else yield [name, this.get(name)];
    }
  }
  *keys() { for (const [name] of this) yield name; }
  *values() { for (const [, value] of this) yield value; }
  [Symbol.iterator]() { return this.entries(); }
}

// flat is names and values of headers, one after the other, each with a zero behind it.
const flat = (fields) => {
  let all = "";
  for (const name in fields) {
    const value = fields[name];
    if (typeof value === "string") all += name + "\0" + value + "\0";
    else for (const one of value) all += name + "\0" + one + "\0";
  }
  return all;
};

// A body is a text, or an object with bytes, with a stream, or asked: those of the request, which the host has. typeOf is the type that it has by itself.
const bodyOf = (v) => {
  if (typeof v === "string") return v;
  if (v instanceof ReadableStream) {
    if (v.locked) throw new TypeError("the stream is read by somebody already");
    return v[S] ?? { stream: v };
  }
  const bytes = bytesOf(v);
  return bytes ? { bytes: bytes.slice() } : String(v);
};
const typeOf = (v, body) => (typeof body !== "string" ? undefined : v instanceof URLSearchParams ? "application/x-www-form-urlencoded;charset=UTF-8" : plainText);
const plainText = "text/plain;charset=UTF-8";
const asBytes = async (body) => {
  if (body === null) return new Uint8Array(0);
  if (typeof body === "string") return encode(body);
  if (body.stream) return readAll(body.stream);
  if (body.asked) return readAsked();
  return body.bytes;
};
const readAsked = () => {
  const first = host.read();
  if (first === null) return new Uint8Array(0);
  const parts = [new Uint8Array(first)];
  for (let part = host.read(); part !== null; part = host.read()) parts.push(new Uint8Array(part));
  return parts.length === 1 ? parts[0] : whole(parts);
};
const asText = async (body) => {
  if (body === null) return "";
  if (typeof body === "string") return body;
  return decode(body.asked ? readAsked() : await asBytes(body), false, false);
};

// Message is what Request and Response have in common. Their state has body, the type of that, used, stream, and headers or what they are made of: init, or
// raw, those of the host. What it does not say is as in newState: each property of an object costs as much as some instructions.
const newState = { method: "GET", url: "", status: 200, text: "", headers: null, init: undefined, raw: undefined, body: null, type: undefined, used: false, stream: null };

class Message {
  get headers() {
    const s = this[S];
    if (s.headers) return s.headers;
    const headers = (s.headers = new Headers(s.init));
    const fields = headers[S];
    if (s.raw) {
      const parts = s.raw.split("\0");
      for (let i = 0; i + 1 < parts.length; i += 2) fields[parts[i]] = parts[i + 1];
    }
    if (s.type !== undefined && fields["content-type"] === undefined) fields["content-type"] = s.type;
    return headers;
  }
  get bodyUsed() { return this[S].used; }
  get body() {
    const s = this[S];
    if (s.body === null) return null;
    if (s.body.stream) return s.body.stream;
    return (s.stream ??= streamOf(s.body, () => { s.used = true; }));
  }
  async text() { return asText(taken(this)); }
  async json() { return JSON.parse(await asText(taken(this))); }
  async bytes() { return asBytes(taken(this)); }
  async arrayBuffer() {
    const bytes = await asBytes(taken(this));
    return bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer;
  }
  async blob() { throw new TypeError("there are no blobs here: use arrayBuffer()"); }
  async formData() { throw new TypeError("forms are not parsed here: use new URLSearchParams(await request.text())"); }
}
const taken = (message) => {
  const s = message[S];
  if (s.used || s.stream?.locked) throw new TypeError("the body was read already");
  s.used = s.body !== null;
  return s.body;
};
const copied = (message) => {
  const s = message[S];
  if (s.used || s.stream?.locked) throw new TypeError("the body was read already, so there is no copy");
  if (s.body?.stream) throw new TypeError("a body that is a stream has no copy");
  return s.body;
};
// made makes an object of a class, of its state.
const made = (of, state) => {
  const object = Object.create(of.prototype);
  object[S] = { __proto__: newState, ...state };
  return object;
};

class Request {
  constructor(input, init = {}) {
    const from = input instanceof Request ? input : null;
    let method = String(init.method ?? from?.method ?? "GET");
    if (["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"].includes(method.toUpperCase())) method = method.toUpperCase();
    if (!isName.test(method)) throw new TypeError(`'${method}' is no method`);
    let body = null, type;
    if (init.body !== undefined && init.body !== null) {
      if (method === "GET" || method === "HEAD") throw new TypeError(`a request with the method ${method} has no body`);
      body = bodyOf(init.body);
      type = typeOf(init.body, body);
    } else if (from) {
      body = copied(from);
      type = from[S].type;
      from[S].used = body !== null;
    }
    this[S] = { __proto__: newState, method, url: from ? from.url : new URL(input).href, init: init.headers ?? from?.headers, body, type };
    this.headers;
  }
  get method() { return this[S].method; }
  get url() { return this[S].url; }
  clone() { return made(Request, { method: this.method, url: this.url, headers: new Headers(this.headers), body: copied(this) }); }
}

const bodiless = (status) => status === 204 || status === 205 || status === 304;

class Response {
  constructor(body, init) {
    const s = (this[S] = { __proto__: newState });
    if (typeof body === "string") {
      s.body = body;
      s.type = plainText;
    } else if (body !== undefined && body !== null) {
      s.body = bodyOf(body);
      s.type = typeOf(body, s.body);
    }
    if (init === undefined || init === null) return;
    if (init.status !== undefined) {
      s.status = Math.trunc(Number(init.status));
      if (!(s.status >= 200 && s.status <= 599)) throw new RangeError(`the status of a response is between 200 and 599, not ${init.status}`);
      if (s.body !== null && bodiless(s.status)) throw new TypeError(`a response with the status ${s.status} has no body`);
    }
    if (init.statusText !== undefined) s.text = String(init.statusText);
    if (init.headers !== undefined && init.headers !== null) {
      s.init = init.headers;
      this.headers;
    }
  }
  get status() { return this[S].status; }
  get statusText() { return this[S].text; }
  get ok() { return this[S].status >= 200 && this[S].status < 300; }
  get redirected() { return false; }
  get type() { return "default"; }
  get url() { return this[S].url; }
  clone() { return made(Response, { ...this[S], body: copied(this), headers: new Headers(this.headers), stream: null }); }
  static json(data, init) {
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError("Response.json: the value has no JSON");
    const response = new Response(null, init);
    if (bodiless(response[S].status)) throw new TypeError(`a response with the status ${response[S].status} has no body`);
    response[S].body = text;
    response[S].type = "application/json";
    if (response[S].headers) response[S].headers[S]["content-type"] ??= "application/json";
    return response;
  }
  static redirect(url, status = 302) {
    if (![301, 302, 303, 307, 308].includes(status)) throw new RangeError(`${status} is no status of a redirect`);
    return new Response(null, { status, headers: { location: new URL(url).href } });
  }
}

for (const of of [Request, Response]) {
  for (const name of Object.getOwnPropertyNames(Message.prototype)) {
    if (name !== "constructor") Object.defineProperty(of.prototype, name, Object.getOwnPropertyDescriptor(Message.prototype, name));
  }
}

define("Headers", Headers);
define("Request", Request);
define("Response", Response);
// fetch waits in the host: two at once are one after the other.
define("fetch", async function fetch(input, init) {
  onlyServing("fetch");
  const request = new Request(input, init);
  if (init?.redirect === "manual" || init?.redirect === "error") throw new TypeError("fetch: redirects are always followed here");
  const body = await asBytes(taken(request));
  const said = host.send(request.method, request.url, flat(request.headers[S]), body.buffer, body.byteOffset, body.byteLength);
  if (said[0] === "!") throw new TypeError("fetch: " + said.slice(1));
  const at = said.indexOf("\0");
  const headers = new Headers(twos(said.slice(at + 1)));
  return made(Response, { status: Number(said.slice(0, at)), text: "", url: request.url, headers, body: { bytes: new Uint8Array(host.fetched()) } });
});
