// What the parts share: the host, what may be asked of it when, text, random numbers, timers.

const define = (name, value) => Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });

// S is what an object is made of, out of sight.
const S = Symbol("state");

// serving: a request is being answered. Before, the module is loaded, and what it has then is found by each request.
let serving = false;
const onlyServing = (what) => {
  if (!serving) throw new Error(`${what} can only be used while a request is answered, not while the module is loaded: each request would find the same`);
};

const bytesOf = (v) => {
  if (v instanceof ArrayBuffer) return new Uint8Array(v);
  if (ArrayBuffer.isView(v)) return new Uint8Array(v.buffer, v.byteOffset, v.byteLength);
  return null;
};
const encode = (text) => new Uint8Array(host.encode(text));
const decode = (bytes, fatal, keepMark) => host.decode(bytes.buffer, bytes.byteOffset, bytes.byteLength, fatal ? 1 : 0, keepMark ? 1 : 0);

class TextEncoder {
  get encoding() { return "utf-8"; }
  encode(text = "") { return encode(String(text)); }
  encodeInto(text, into) {
    let read = 0, written = 0;
    for (const character of String(text)) {
      const bytes = encode(character);
      if (written + bytes.length > into.length) break;
      into.set(bytes, written);
      written += bytes.length;
      read += character.length;
    }
    return { read, written };
  }
}

class TextDecoder {
  #fatal;
  #keepMark;
  #rest = new Uint8Array(0);
  constructor(label = "utf-8", options = {}) {
    if (!["utf-8", "utf8", "unicode-1-1-utf-8"].includes(String(label).trim().toLowerCase())) throw new RangeError(`TextDecoder knows utf-8, not '${label}'`);
    this.#fatal = !!options.fatal;
    this.#keepMark = !!options.ignoreBOM;
  }
  get encoding() { return "utf-8"; }
  get fatal() { return this.#fatal; }
  get ignoreBOM() { return this.#keepMark; }
  decode(input = new Uint8Array(0), options = {}) {
    let bytes = bytesOf(input);
    if (!bytes) throw new TypeError("TextDecoder.decode takes an ArrayBuffer or a view of one");
    if (this.#rest.length) {
      const whole = new Uint8Array(this.#rest.length + bytes.length);
      whole.set(this.#rest);
      whole.set(bytes, this.#rest.length);
      bytes = whole;
    }
    const end = options.stream ? complete(bytes) : bytes.length;
    this.#rest = bytes.slice(end);
    const text = decode(bytes.subarray(0, end), this.#fatal, this.#keepMark);
    if (text === null) throw new TypeError("TextDecoder: the data is not valid UTF-8");
    return text;
  }
}

// complete is where the last character begins that is not whole, or the end.
const complete = (bytes) => {
  for (let i = bytes.length - 1; i >= 0 && i >= bytes.length - 3; i--) {
    const b = bytes[i];
    if (b >= 0xc0) return i + (b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : 2) > bytes.length ? i : bytes.length;
    if (b < 0x80) break;
  }
  return bytes.length;
};

// Random numbers are the host's. QuickJS's own generator is in the snapshot: each request would draw the same.
const drawn = new Float64Array(64);
let drawnAt = drawn.length;
const random = () => {
  if (drawnAt === drawn.length) {
    host.draw(drawn.buffer);
    drawnAt = 0;
  }
  return drawn[drawnAt++];
};
Object.defineProperty(Math, "random", { value: { random }.random, writable: true, enumerable: false, configurable: true });

const integers = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, BigInt64Array, BigUint64Array];
const crypto = {
  getRandomValues(view) {
    onlyServing("crypto.getRandomValues");
    if (!integers.some((t) => view instanceof t)) throw new TypeError("crypto.getRandomValues takes an array of integers, such as a Uint8Array");
    if (view.byteLength > 65536) throw new DOMException("crypto.getRandomValues gives at most 65536 bytes at once", "QuotaExceededError");
    host.random(view.buffer, view.byteOffset, view.byteLength);
    return view;
  },
  randomUUID() {
    onlyServing("crypto.randomUUID");
    const b = new Uint8Array(16);
    host.random(b.buffer, 0, 16);
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    const hex = Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  },
};

// Timers, the earliest first. The host waits for the first when nothing else is left to do.
const timersMax = 1000;
let timers = [];
let timerLast = 0;
const elapsed = performance.now.bind(performance);
const setTimer = (what, f, after, args, every) => {
  onlyServing(what);
  if (typeof f !== "function") throw new TypeError(`${what} takes a function`);
  if (timers.length >= timersMax) throw new RangeError(`there are ${timersMax} timers already`);
  const wait = Math.min(Math.max(Number(after) || 0, every ? 1 : 0), 2147483647);
  addTimer({ id: ++timerLast, at: elapsed() + wait, f, args, every: every ? wait : 0 });
  return timerLast;
};
const addTimer = (timer) => {
  let i = timers.length;
  while (i > 0 && timers[i - 1].at > timer.at) i--;
  timers.splice(i, 0, timer);
};
const clearTimer = (id) => { timers = timers.filter((t) => t.id !== id); };

// tick runs the next timer, for which it waits, or tells the host that there is none.
const tick = () => {
  const timer = timers.shift();
  if (!timer) return host.idle();
  const wait = timer.at - elapsed();
  if (wait > 0) host.wait(wait);
  if (timer.every) addTimer({ ...timer, at: Math.max(timer.at, elapsed() - timer.every) + timer.every });
  try {
    timer.f(...timer.args);
  } catch (e) {
    host.log("Uncaught " + describe(e));
  }
};

define("self", globalThis);
define("TextEncoder", TextEncoder);
define("TextDecoder", TextDecoder);
define("crypto", crypto);
define("setTimeout", function setTimeout(f, after, ...args) { return setTimer("setTimeout", f, after, args, false); });
define("setInterval", function setInterval(f, after, ...args) { return setTimer("setInterval", f, after, args, true); });
define("clearTimeout", function clearTimeout(id) { clearTimer(id); });
define("clearInterval", function clearInterval(id) { clearTimer(id); });
if (typeof globalThis.queueMicrotask !== "function") define("queueMicrotask", function queueMicrotask(f) { Promise.resolve().then(f); });
