// structuredClone: what has structure, with its circles; functions and symbols have none.

const cloned = (v, seen) => {
  if (typeof v === "function" || typeof v === "symbol") throw new DOMException(`${show(v)} cannot be cloned`, "DataCloneError");
  if (typeof v !== "object" || v === null) return v;
  if (seen.has(v)) return seen.get(v);
  const as = (copy, fill) => {
    seen.set(v, copy);
    fill?.();
    return copy;
  };
  if (v instanceof Date) return as(new Date(v.getTime()));
  if (v instanceof RegExp) return as(new RegExp(v.source, v.flags));
  if (v instanceof Boolean || v instanceof Number || v instanceof String) return as(Object(v.valueOf()));
  if (v instanceof ArrayBuffer) return as(v.slice(0));
  if (ArrayBuffer.isView(v)) return as(new v.constructor(cloned(v.buffer, seen), v.byteOffset, v instanceof DataView ? v.byteLength : v.length));
  if (v instanceof Map) {
    const copy = new Map();
    return as(copy, () => { for (const [k, x] of v) copy.set(cloned(k, seen), cloned(x, seen)); });
  }
  if (v instanceof Set) {
    const copy = new Set();
    return as(copy, () => { for (const x of v) copy.add(cloned(x, seen)); });
  }
  if (v instanceof Error) {
    const kinds = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
    const copy = new (kinds[v.name] ?? Error)(v.message);
    return as(copy, () => {
      Object.defineProperty(copy, "stack", { value: v.stack, writable: true, configurable: true });
      if (v.cause !== undefined) copy.cause = cloned(v.cause, seen);
    });
  }
  if (v instanceof Promise || v instanceof WeakMap || v instanceof WeakSet || v instanceof WeakRef || v[S] !== undefined || v instanceof URL) {
    throw new DOMException(`${v.constructor.name} cannot be cloned`, "DataCloneError");
  }
  const copy = Array.isArray(v) ? new Array(v.length) : {};
  return as(copy, () => { for (const k of Object.keys(v)) copy[k] = cloned(v[k], seen); });
};
define("structuredClone", function structuredClone(v) { return cloned(v, new Map()); });
