// Streams, as far as bodies need them: chunks in a queue.

class Controller {
  constructor(s) { this.s = s; }
  get desiredSize() { return this.s.closed ? 0 : 1 - this.s.queue.length; }
  enqueue(chunk) {
    if (this.s.closed) throw new TypeError("the stream is closed");
    this.s.queue.push(chunk);
    this.s.wake();
  }
  close() {
    if (this.s.closed) throw new TypeError("the stream is closed");
    this.s.closed = true;
    this.s.wake();
  }
  error(e) {
    this.s.closed = this.s.failed = true;
    this.s.error = e;
    this.s.queue = [];
    this.s.wake();
  }
}

class ReadableStream {
  #s;
  #reader = null;
  constructor(source = {}) {
    const s = { queue: [], closed: false, failed: false, error: undefined, waiting: [], source, pulling: null, wake() {
      const waiting = s.waiting;
      s.waiting = [];
      for (const f of waiting) f();
    } };
    const controller = new Controller(s);
    s.started = (async () => source.start?.(controller))();
    s.started.catch((e) => controller.error(e));
    s.pull = () => {
      if (!source.pull || s.pulling || s.closed) return;
      s.pulling = s.started.then(() => source.pull(controller)).catch((e) => controller.error(e)).finally(() => {
        s.pulling = null;
        s.wake();
      });
    };
    this.#s = s;
  }
  get locked() { return this.#reader !== null; }
  async #read() {
    const s = this.#s;
    for (;;) {
      if (s.queue.length) return { value: s.queue.shift(), done: false };
      if (s.failed) throw s.error;
      if (s.closed) return { value: undefined, done: true };
      s.pull();
      await new Promise((wake) => s.waiting.push(wake));
    }
  }
  async cancel(why) {
    const s = this.#s;
    s.closed = true;
    s.queue = [];
    s.wake();
    await s.source.cancel?.(why);
  }
  getReader() {
    if (this.#reader) throw new TypeError("the stream is read by somebody already");
    const stream = this;
    this.#reader = {
      read: () => stream.#read(),
      cancel: (why) => stream.cancel(why),
      releaseLock() { stream.#reader = null; },
    };
    return this.#reader;
  }
  async *[Symbol.asyncIterator]() {
    const reader = this.getReader();
    for (let r = await reader.read(); !r.done; r = await reader.read()) yield r.value;
    reader.releaseLock();
  }
  values() { return this[Symbol.asyncIterator](); }
}

// streamOf is a body as a stream. Whoever makes a body of it that nobody has read gets the body itself.
const streamOf = (body, taken) => {
  const stream = new ReadableStream({
    async pull(controller) {
      taken();
      const bytes = body.asked ? host.read() : await asBytes(body);
      if (bytes !== null && bytes.byteLength) controller.enqueue(bytesOf(bytes));
      if (!body.asked || bytes === null) controller.close();
    },
  });
  stream[S] = body;
  return stream;
};

// chunkOf is a part of a stream as bytes.
const chunkOf = (chunk) => {
  const bytes = typeof chunk === "string" ? encode(chunk) : bytesOf(chunk);
  if (!bytes) throw new TypeError("a chunk of a body is a Uint8Array");
  return bytes;
};
const readAll = async (stream) => {
  const parts = [];
  for await (const chunk of stream) parts.push(chunkOf(chunk));
  return whole(parts);
};
const whole = (parts) => {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
};

define("ReadableStream", ReadableStream);
