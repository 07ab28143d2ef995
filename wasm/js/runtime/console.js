// What is printed: values as people read them, errors with their stacks.

const shownMax = 100;
const depthMax = 4;

const describe = (e) => {
  try {
    return described(e);
  } catch {
    return "what was thrown cannot be told: telling it throws";
  }
};
const described = (e) => {
  if (!(e instanceof Error)) return show(e);
  const head = String(e);
  const stack = typeof e.stack === "string" ? e.stack.trimEnd() : "";
  const text = stack && stack.startsWith(head) ? stack : stack ? head + "\n" + stack : head;
  return e.cause === undefined ? text : `${text}\nCaused by ${e.cause === e ? "itself" : describe(e.cause)}`;
};

const show = (v, depth = 0, above = []) => {
  switch (typeof v) {
    case "string": return depth ? JSON.stringify(v) : v;
    case "bigint": return `${v}n`;
    case "symbol": return v.toString();
    case "function": return `[${v.prototype && Object.getOwnPropertyDescriptor(v, "prototype")?.writable === false ? "class" : "function"} ${v.name || "(anonymous)"}]`;
    case "object": break;
    default: return Object.is(v, -0) ? "-0" : String(v);
  }
  if (v === null) return "null";
  if (above.includes(v)) return "[circular]";
  if (v instanceof Error) return depth ? `[${String(v)}]` : describe(v);
  if (v instanceof Date) return isNaN(v) ? "Invalid Date" : v.toISOString();
  if (v instanceof RegExp) return String(v);
  const name = v.constructor?.name ?? "";
  if (depth > depthMax) return Array.isArray(v) ? "[array]" : `[${name || "object"}]`;
  const inner = (x) => show(x, depth + 1, [...above, v]);
  const list = (all, open, close, total) => {
    if (total > all.length) all.push(`... ${total - all.length} more`);
    return all.length ? `${open}${all.join(", ")}${close}` : open.trimEnd() + close.trimStart();
  };
  if (Array.isArray(v)) return list(v.slice(0, shownMax).map(inner), "[", "]", v.length);
  if (ArrayBuffer.isView(v) && !(v instanceof DataView)) return list(Array.from(v.subarray(0, shownMax), inner), `${name} [`, "]", v.length);
  if (v instanceof ArrayBuffer) return `ArrayBuffer { ${v.byteLength} bytes }`;
  if (v instanceof Map) return list([...v].slice(0, shownMax).map(([k, x]) => `${inner(k)} => ${inner(x)}`), "Map { ", " }", v.size);
  if (v instanceof Set) return list([...v].slice(0, shownMax).map(inner), "Set { ", " }", v.size);
  if (v instanceof Promise) return "Promise";
  if (v instanceof URL) return v.href;
  if (v instanceof Headers || v instanceof URLSearchParams) return `${name} ${list([...v].slice(0, shownMax).map(([k, x]) => `${k}: ${inner(x)}`), "{ ", " }", 0)}`;
  if (v instanceof Request) return `Request { ${v.method} ${v.url} }`;
  if (v instanceof Response) return `Response { ${v.status} }`;
  const keys = Object.keys(v);
  const all = keys.slice(0, shownMax).map((k) => `${/^[A-Za-z_$][\w$]*$/.test(k) ? k : JSON.stringify(k)}: ${inner(v[k])}`);
  return (name && name !== "Object" ? name + " " : "") + list(all, "{ ", " }", keys.length);
};

const format = (args) => {
  let rest = args;
  let text = "";
  if (typeof args[0] === "string" && args.length > 1 && args[0].includes("%")) {
    rest = args.slice(1);
    text = args[0].replace(/%[sdifoOjc%]/g, (what) => {
      if (what === "%%") return "%";
      if (!rest.length) return what;
      const v = rest.shift();
      switch (what) {
        case "%d": case "%i": return String(what === "%i" ? Math.trunc(Number(v)) : Number(v));
        case "%f": return String(Number(v));
        case "%j": return JSON.stringify(v);
        case "%c": return "";
        case "%s": return typeof v === "string" ? v : show(v, 1);
        default: return show(v, 1);
      }
    });
    if (rest.length) text += " ";
  }
  return text + rest.map((v) => show(v)).join(" ");
};

const counts = new Map();
const began = new Map();
let indent = "";
const write = (before, args) => {
  const text = before + format(args);
  host.log(indent ? indent + text.replaceAll("\n", "\n" + indent) : text);
};
const print = (...args) => write("", args);
define("console", {
  log: print, info: print, debug: print, dir: print, table: print,
  warn: (...args) => write("warning: ", args),
  error: (...args) => write("error: ", args),
  trace: (...args) => write("trace: ", [...args, "\n" + (new Error().stack ?? "")]),
  assert(ok, ...args) { if (!ok) write("assertion failed: ", args); },
  count(label = "default") {
    counts.set(label, (counts.get(label) ?? 0) + 1);
    print(`${label}: ${counts.get(label)}`);
  },
  countReset(label = "default") { counts.delete(label); },
  group(...args) {
    if (args.length) print(...args);
    if (indent.length < 40) indent += "  ";
  },
  groupEnd() { indent = indent.slice(2); },
  time(label = "default") { began.set(label, elapsed()); },
  timeLog(label = "default", ...args) { print(`${label}: ${(elapsed() - (began.get(label) ?? elapsed())).toFixed(3)}ms`, ...args); },
  timeEnd(label = "default") {
    this.timeLog(label);
    began.delete(label);
  },
});
