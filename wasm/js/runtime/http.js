// Headers, Request and Response. What a request does not ask for is not made: each instruction here is part of every request.

const isName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const nameOfField = (given) => {
  const name = host.field(String(given), "");
  if (name === "") throw new TypeError(`'${given}' is no name of a header`);
  return name;
};

// The state of Headers: the value of a name, or a list of several; or those of the request, which the host has; or a text as flat makes it.
const ofRequest = true;
const fieldsOf = (headers) => {
  const state = headers[S];
  if (typeof state === "object") return state;
  const fields = (headers[S] = { __proto__: null });
  const parts = (state === ofRequest ? host.headers() : state).split("\0");
  for (let i = 0; i + 1 < parts.length; i += 2) putField(fields, parts[i], parts[i + 1]);
  return fields;
};
const putField = (fields, name, value) => {
  const before = fields[name];
  fields[name] = before === undefined ? value : typeof before === "string" ? [before, value] : [...before, value];
};

const addField = (fields, given, value, instead) => {
  given = String(given);
  value = String(value);
  let name = host.field(given, value); // in lower case, and "" if the host does not take the name or the value as they are
  if (name === "") {
    name = nameOfField(given);
    value = value.trim();
    if (host.field(given, value) === "") throw new TypeError("a header's value has a line break or a zero in it");
  }
  if (instead) fields[name] = value;
  else putField(fields, name, value);
};
const fillFields = (fields, init) => {
  if (typeof init !== "object") throw new TypeError("Headers takes an object, pairs or Headers");
  if (init[S] !== undefined && init instanceof Headers) {
    const from = fieldsOf(init);
    for (const name in from) fields[name] = from[name];
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
// texted is what an object says of headers, and a body's type, as flat makes it; or "": it is not that simple.
const texted = (init, type) => {
  if (typeof init !== "object" || init[S] !== undefined || typeof init[Symbol.iterator] === "function") return "";
  const names = Object.keys(init);
  let all = "";
  for (let i = 0; i < names.length; i++) all += names[i] + "\0" + String(init[names[i]]) + "\0";
  return host.fields(all, names.length, type ?? "");
};
const joined = (value) => (value === undefined ? null : typeof value === "string" ? value : value.join(", "));

class Headers {
  constructor(init) {
    const fields = (this[S] = { __proto__: null });
    if (init !== undefined && init !== null) fillFields(fields, init);
  }
  append(name, value) { addField(fieldsOf(this), name, value); }
  delete(name) { delete fieldsOf(this)[nameOfField(name)]; }
  get(name) {
    if (this[S] === ofRequest) {
      name = String(name);
      const value = host.header(name);
      if (value !== undefined) return value;
    }
    return joined(fieldsOf(this)[nameOfField(name)]);
  }
  getAll(name) {
    const value = fieldsOf(this)[nameOfField(name)];
    return value === undefined ? [] : typeof value === "string" ? [value] : [...value];
  }
  getSetCookie() { return this.getAll("set-cookie"); }
  has(name) { return this.get(name) !== null; }
  set(name, value) { addField(fieldsOf(this), name, value, true); }
  forEach(f, self) { for (const [name, value] of this) f.call(self, value, name, this); }
  *entries() {
    for (const name of Object.keys(fieldsOf(this)).sort()) {
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
// raw, the state of Headers that nobody has asked for yet. What it does not say is as in newState: each property of an object costs as much as some instructions.
const newState = { method: "GET", url: "", status: 200, text: "", headers: null, init: undefined, raw: undefined, body: null, type: undefined, used: false, stream: null };

class Message {
  get headers() {
    const s = this[S];
    if (s.headers) return s.headers;
    if (s.raw !== undefined) {
      s.headers = { __proto__: Headers.prototype };
      s.headers[S] = s.raw;
      return s.headers;
    }
    const headers = (s.headers = new Headers(s.init));
    const fields = headers[S];
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

// setUp takes what a response's constructor is given beside the body.
const setUp = (response, s, init) => {
  if (init.status !== undefined) {
    s.status = Math.trunc(Number(init.status));
    if (!(s.status >= 200 && s.status <= 599)) throw new RangeError(`the status of a response is between 200 and 599, not ${init.status}`);
    if (s.body !== null && bodiless(s.status)) throw new TypeError(`a response with the status ${s.status} has no body`);
  }
  if (init.statusText !== undefined) s.text = String(init.statusText);
  const headers = init.headers;
  if (headers === undefined || headers === null) return;
  const text = texted(headers, s.type);
  if (text !== "") s.raw = text;
  else {
    s.init = headers;
    response.headers;
  }
};

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
    if (init !== undefined && init !== null) setUp(this, s, init);
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
    const response = { __proto__: Response.prototype };
    const s = (response[S] = { __proto__: newState, body: text, type: "application/json" });
    if (init !== undefined && init !== null) setUp(response, s, init);
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
  const said = host.send(request.method, request.url, flat(fieldsOf(request.headers)), body.buffer, body.byteOffset, body.byteLength);
  if (said[0] === "!") throw new TypeError("fetch: " + said.slice(1));
  const at = said.indexOf("\0");
  const headers = new Headers(twos(said.slice(at + 1)));
  return made(Response, { status: Number(said.slice(0, at)), text: "", url: request.url, headers, body: { bytes: new Uint8Array(host.fetched()) } });
});
