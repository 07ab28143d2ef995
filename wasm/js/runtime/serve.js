// How a request comes in and its answer goes out.

let handler = null;
let env = {};
let pending = 0; // of ctx.waitUntil
let answered = false;

// The call ends with the answer, unless the host holds it until it is told.
let held = false;
const hold = () => {
  if (!held) host.hold();
  held = true;
};
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
  get params() { return (given ??= Object.fromEntries(twos(givenParams ?? ""))); }
  waitUntil(promise) {
    pending++;
    hold();
    Promise.resolve(promise).catch((e) => host.log("Uncaught (in waitUntil) " + describe(e))).finally(() => {
      pending--;
      finished();
    });
  }
  passThroughOnException() {}
}
// The request that is answered is there once, so it has no state until somebody asks for more than its method and URL.
let givenMethod, givenURL, givenParams, givenBody;
let given; // params, when they were asked for
let givenState;
const requestIs = Object.create(Request.prototype, {
  method: { get: () => givenMethod },
  url: { get: () => givenURL },
  [S]: { get: () => (givenState ??= { __proto__: newState, method: givenMethod, url: givenURL, raw: ofRequest, body: givenBody ? { asked: true } : null }) },
});
const contextIs = Context.prototype;

// asked answers a request, or returns the promise of a response, for which the host waits (a promise's then costs as much as all the rest). It takes its method, its URL, and names and values of its parameters, which are read when they are
// asked for; its headers stay with the host until then.
const asked = (method, url, params, hasBody) => {
  serving = true;
  drawnAt = 64;
  givenMethod = method;
  givenURL = url;
  givenParams = params;
  givenBody = hasBody;
  try {
    const response = handler({ __proto__: requestIs }, env, { __proto__: contextIs });
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
  const s = response?.[S];
  if (s === undefined || !(response instanceof Response)) throw new TypeError(`the function has returned ${show(response, 1)}: expected a Response`);
  if (s.used || s.stream?.locked) throw new TypeError("the body of the response was read already");
  const body = s.body;
  const type = s.type;
  const fields = s.headers !== null ? flat(fieldsOf(s.headers)) : s.raw !== undefined ? s.raw : type === plainText ? plainField : type !== undefined ? "content-type\0" + type + "\0" : "";
  if (typeof body === "string") host.answerText(s.status, fields, body);
  else {
    host.head(s.status, fields);
    if (body?.bytes) host.write(body.bytes.buffer, body.bytes.byteOffset, body.bytes.byteLength);
    else if (body !== null) {
      hold();
      return void pour(s.stream ?? body.stream ?? streamOf(body, () => {})).then(end).catch(failed);
    }
  }
  answered = true; // which the host knows
  if (held) finished();
};
const plainField = "content-type\0" + plainText + "\0";
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
