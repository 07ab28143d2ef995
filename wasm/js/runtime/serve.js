// How a request comes in and its answer goes out.

let handler = null;
let env = {};
let pending = 0; // of ctx.waitUntil
let answered = false;

const finished = () => { if (answered && pending === 0) host.done(); };

// twos are names and values, which lie one after the other, each with a zero behind it.
const twos = (text) => {
  const parts = text.split("\0");
  const list = [];
  for (let i = 0; i + 1 < parts.length; i += 2) list.push([parts[i], parts[i + 1]]);
  return list;
};

// loaded takes the namespace of the module, the name of what is called, and the environment as names and values. What is called is a function of the
// default export, or an export; if there is none of the name, fetch of the default export.
const loaded = (module, name, variables) => {
  const main = module.default;
  const has = (name) => main !== null && (typeof main === "object" || typeof main === "function") && typeof main[name] === "function";
  if (name !== "fetch" && !has(name) && typeof module[name] === "function" && name !== "default") handler = module[name];
  else if (main === undefined) throw new TypeError("the module has no default export: expected export default { fetch(request, env) { return new Response(...) } }");
  else {
    if (!has(name)) name = "fetch";
    if (!has(name)) throw new TypeError("the default export has no function fetch: expected export default { fetch(request, env) { return new Response(...) } }");
    handler = (request, env, context) => main[name](request, env, context);
  }
  for (const [variable, value] of twos(variables)) env[variable] = value;
};

class Context {
  get params() { return this[S]; }
  waitUntil(promise) {
    pending++;
    Promise.resolve(promise).catch((e) => host.log("Uncaught (in waitUntil) " + describe(e))).finally(() => {
      pending--;
      finished();
    });
  }
  passThroughOnException() {}
}
const requestIs = Request.prototype;
const contextIs = Context.prototype;

// asked answers a request, or returns the promise of a response, for which the host waits (a promise's then costs as much as all the rest). It takes its method, its URL, and names and values of its parameters and of its headers, which are read when
// they are asked for.
const asked = (method, url, params, headers, hasBody) => {
  serving = true;
  drawnAt = 64;
  const request = { __proto__: requestIs, [S]: { method, url, headers: null, raw: headers, body: hasBody ? { asked: true } : null, used: false, stream: null } };
  const context = { __proto__: contextIs, [S]: params === "" ? {} : Object.fromEntries(twos(params)) };
  try {
    const response = handler(request, env, context);
    if (typeof response !== "object" || response === null || response[S] === undefined) return response instanceof Promise ? response : Promise.resolve(response);
    answer(response);
  } catch (e) {
    failed(e);
  }
};

// answer gives the host a response, or fails.
const answer = (response) => {
  try {
    respond(response);
  } catch (e) {
    failed(e);
  }
};
const respond = (response) => {
  if (!(response instanceof Response)) throw new TypeError(`the function has returned ${show(response, 1)}: expected a Response`);
  const s = response[S];
  if (s.used || s.stream?.locked) throw new TypeError("the body of the response was read already");
  const body = s.body;
  const fields = s.headers ? flat(s.headers[S]) : body?.type !== undefined ? `content-type\0${body.type}\0` : "";
  if (body?.text !== undefined) host.answerText(s.status, fields, body.text);
  else {
    host.head(s.status, fields);
    if (body?.bytes) host.write(body.bytes.buffer, body.bytes.byteOffset, body.bytes.byteLength);
    else if (body) return void pour(s.stream ?? body.stream ?? streamOf(body, () => {})).then(end).catch(failed);
  }
  end();
};
const pour = async (stream) => {
  for await (const chunk of stream) {
    const bytes = chunkOf(chunk);
    host.write(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
};
const failed = (e) => {
  host.failed("Uncaught " + describe(e));
  end();
};
const end = () => {
  answered = true;
  finished();
};

return { loaded, asked, tick, answer, failed, rejected: (e) => host.log("Uncaught (in promise) " + describe(e)), describe: (e) => host.failed(describe(e)) };
