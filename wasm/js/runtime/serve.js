// How a request comes in and its answer goes out.

let handler = null;
let env = {};
let pending = 0; // of ctx.waitUntil
let answered = false;

const finished = () => { if (answered && pending === 0) host.done(); };

// loaded takes the namespace of the module, the name of what is called, and the environment as names and values.
const loaded = (module, name, variables) => {
  const main = module.default;
  if (main !== null && (typeof main === "object" || typeof main === "function") && typeof main[name] === "function") handler = (...args) => main[name](...args);
  else if (name !== "default" && typeof module[name] === "function") handler = module[name];
  else if (main === undefined) throw new TypeError(`the module has no default export: expected export default { ${name}(request, env) { return new Response(...) } }`);
  else throw new TypeError(`the default export has no function ${name}: expected export default { ${name}(request, env) { return new Response(...) } }`);
  const parts = variables.split("\0");
  for (let i = 0; i + 1 < parts.length; i += 2) env[parts[i]] = parts[i + 1];
};

// asked takes a request: its method, its URL, whether it has a body, how many parameters, these, then headers.
const asked = (text) => {
  serving = true;
  drawnAt = drawn.length;
  const parts = text.split("\0");
  const parameters = {};
  let at = 4;
  for (let i = Number(parts[3]); i > 0; i--, at += 2) parameters[parts[at]] = parts[at + 1];
  const request = new Request(made, { method: parts[0], url: parts[1], headers: unflat(parts, at), body: parts[2] === "1" ? { asked: true } : null });
  const ctx = {
    params: parameters,
    waitUntil(promise) {
      pending++;
      Promise.resolve(promise).catch((e) => host.log("Uncaught (in waitUntil) " + describe(e))).finally(() => {
        pending--;
        finished();
      });
    },
    passThroughOnException() {},
  };
  answer(request, ctx);
};

const answer = async (request, ctx) => {
  try {
    const response = await handler(request, env, ctx);
    if (!(response instanceof Response)) throw new TypeError(`the function has returned ${show(response, 1)}: expected a Response`);
    const state = response[B];
    if (state.used || state.stream?.locked) throw new TypeError("the body of the response was read already");
    const body = state.of;
    const fields = flat(response.headers);
    if (!body) host.answer(response.status, fields);
    else if (body.text !== undefined) host.answerText(response.status, fields, body.text);
    else {
      const bytes = await asBytes(body);
      host.answerBytes(response.status, fields, bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
  } catch (e) {
    host.failed("Uncaught " + describe(e));
  }
  answered = true;
  finished();
};

return { loaded, asked, tick, rejected: (e) => host.log("Uncaught (in promise) " + describe(e)), describe: (e) => host.failed(describe(e)) };
