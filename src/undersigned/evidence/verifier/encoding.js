// Bytes, strict JSON, canonical JSON, digests, times and amounts: 04-envelope-and-digests, sections 4.1 and 4.4.

class Refused extends Error {
  constructor(code, text, path = "") {
    super(text);
    this.code = code;
    this.path = path;
  }
}

const invalid = (text, path) => new Refused("evidence_invalid", text, path);

/** Text for an error: short, and of printable ASCII alone. */
function shown(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? "nothing";
  const cut = text.length > 160 ? `${text.slice(0, 160)}…` : text;
  return cut.replace(/[^\x20-\x7e…]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

// --- bytes

const encode = (text) => new TextEncoder().encode(text);

function utf8(bytes, code = "bad_unicode") {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refused(code, "expected UTF-8");
  }
}

function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const same = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);
const latin1 = (bytes) => new TextDecoder("latin1").decode(bytes);
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const fromHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const bigEndian = (bytes) => (bytes.length ? BigInt(`0x${hex(bytes)}`) : 0n);
const littleEndian = (bytes) => bigEndian(bytes.toReversed());
const toBytes = (number, size) => fromHex(number.toString(16).padStart(2 * size, "0"));

const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
const sha384 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-384", bytes));

function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x6000) text += String.fromCharCode(...bytes.subarray(at, at + 0x6000));
  return btoa(text);
}

/** Bytes of padded base64 in its one spelling, a whole pack too: a pattern runs out of stack in that. */
function fromBase64(text, code, path) {
  let bytes = null;
  try {
    const raw = atob(text);
    bytes = new Uint8Array(raw.length);
    for (let at = 0; at < raw.length; at += 1) bytes[at] = raw.charCodeAt(at);
  } catch {
    // told below
  }
  if (bytes === null || base64(bytes) !== text) {
    throw new Refused(code, `expected base64 with padding and without stray bits; came ${shown(text)}`, path);
  }
  return bytes;
}

const base64url = (bytes) => base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

function fromBase64url(text) {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) {
    throw new Refused("schema_violation", "expected base64url without padding");
  }
  const standard = text.replaceAll("-", "+").replaceAll("_", "/");
  return fromBase64(standard + "=".repeat((4 - (standard.length % 4)) % 4), "schema_violation");
}

const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

function base58(bytes) {
  let number = bigEndian(bytes);
  let text = "";
  for (; number > 0n; number /= 58n) text = BASE58[Number(number % 58n)] + text;
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return "1".repeat(zeros < 0 ? bytes.length : zeros) + text;
}

function fromBase58(text) {
  if (text.length > 4096) throw new Refused("too_large", "expected at most 4096 characters of base58btc");
  let number = 0n;
  for (const character of text) {
    const value = BASE58.indexOf(character);
    if (value < 0) throw new Refused("schema_violation", "expected base58btc");
    number = number * 58n + BigInt(value);
  }
  const zeros = text.match(/^1*/)[0].length;
  const digits = number.toString(16);
  return concat(new Uint8Array(zeros), number ? fromHex(digits.padStart(digits.length + (digits.length % 2), "0")) : []);
}

function multibase(text, allowed) {
  if (text[0] === "z" && allowed.includes("z")) return fromBase58(text.slice(1));
  if (text[0] === "u" && allowed.includes("u")) return fromBase64url(text.slice(1));
  throw new Refused("schema_violation", `expected multibase ${allowed}`);
}

// --- digests

const DIGEST = /^uEi[A-D][A-Za-z0-9_-]{42}[AQgw]$/;
const written = (hash) => `u${base64url(concat([0x12, 0x20], hash))}`;
const digestBytes = async (bytes) => written(await sha256(bytes));

function rawDigest(digest, code = "schema_violation") {
  if (typeof digest !== "string" || !DIGEST.test(digest)) throw new Refused(code, `expected a digest; came ${shown(digest)}`);
  return fromBase64url(digest.slice(1)).subarray(2);
}

/** Digest of a signed thing: over its canonical form without its own proof. */
const digestOf = async (document) => digestBytes(canonical(without(document, "proof")));

function without(document, name) {
  const { [name]: _, ...rest } = document;
  return rest;
}

// --- JSON

const MESSAGE_LIMITS = { bytes: 262144, depth: 16, members: 256, items: 4096, text: 131072, names: /^[\x00-\x7f]*$/ };
const FOREIGN_LIMITS = {
  ...{ bytes: 65536, depth: 32, members: 1024, items: 4096, text: 65536 },
  ...{ nulls: true, floats: true, controls: true },
};
const MANIFEST_LIMITS = { ...FOREIGN_LIMITS, bytes: 8388608, items: 20000 };
const NO_NULL = "expected a value, got null";
const CONTROLS = /[\x00-\x1f\x7f-\x9f]/;

/** Unicode that is never taken: NUL, lone surrogates, noncharacters. */
function isOdd(text) {
  if (!text.isWellFormed()) return true;
  for (const character of text) {
    const point = character.codePointAt(0);
    if (point === 0 || (point >= 0xfdd0 && point <= 0xfdef) || (point & 0xfffe) === 0xfffe) return true;
  }
  return false;
}

/** The value that these bytes spell, each name once, every number exact, within the limits. */
function decodeJson(bytes, limits = MESSAGE_LIMITS) {
  if (bytes.length > limits.bytes) throw new Refused("too_large", `expected at most ${limits.bytes} bytes; came ${bytes.length}`);
  if (depthOf(bytes) > limits.depth) throw new Refused("too_deep", `expected at most ${limits.depth} levels`);
  if (bytes.includes(0) || (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)) {
    throw new Refused("bad_unicode", "expected UTF-8 without a mark or NUL");
  }
  const text = utf8(bytes);
  let at = 0;
  const bad = (what) => new Refused("bad_json", `expected ${what} at character ${at}`);
  const space = () => {
    while (at < text.length && " \t\n\r".includes(text[at])) at += 1;
  };
  const string = () => {
    if (text[at] !== '"') throw bad("text");
    const start = at;
    for (at += 1; text[at] !== '"'; at += 1) {
      if (at >= text.length) throw bad("the end of a text");
      if (text[at] < " ") throw new Refused("bad_unicode", `expected no control character at character ${at}`);
      if (text[at] === "\\") {
        at += 1;
        if (text[at] === "u" ? !/^[0-9a-fA-F]{4}$/.test(text.slice(at + 1, at + 5)) : !'"\\/bfnrt'.includes(text[at] ?? "x")) {
          throw bad("an escape");
        }
      }
    }
    at += 1;
    return JSON.parse(text.slice(start, at));
  };
  const number = () => {
    const found = /^-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/.exec(text.slice(at, at + 420));
    if (!found) throw bad("a value");
    const [spelled, fraction, exponent] = found;
    at += spelled.length;
    const value = Number(spelled);
    const whole = fraction === undefined && exponent === undefined;
    const exact = whole ? Number.isSafeInteger(value) && spelled !== "-0" : limits.floats && Number.isFinite(value);
    if (!exact || Object.is(value, -0) || spelled.length > 400) {
      throw new Refused("number_out_of_range", `expected a number that is exact; came ${spelled.slice(0, 40)}`);
    }
    return value;
  };
  const value = () => {
    space();
    if (text[at] === "{") return object();
    if (text[at] === "[") return array();
    if (text[at] === '"') return string();
    for (const [word, meaning] of [["true", true], ["false", false], ["null", null]]) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return meaning;
      }
    }
    return number();
  };
  const inText = new Map(); // members as they stand in the text: an object moves names that are numbers to its front
  const object = () => {
    const members = [];
    at += 1;
    for (space(); text[at] !== "}"; ) {
      space();
      const name = string();
      space();
      if (text[at] !== ":") throw bad("a colon");
      at += 1;
      members.push([name, value()]);
      space();
      if (text[at] === "}") break;
      if (text[at] !== ",") throw bad("a comma");
      at += 1;
      space();
      if (text[at] === "}") throw bad("a name");
    }
    at += 1;
    if (members.length > limits.members) throw new Refused("too_large", `expected at most ${limits.members} members`);
    const whole = Object.fromEntries(members); // defines names, so that `__proto__` is one like others
    if (Object.keys(whole).length < members.length) throw new Refused("bad_json", "expected each name once");
    inText.set(whole, members);
    return whole;
  };
  const array = () => {
    const items = [];
    at += 1;
    for (space(); text[at] !== "]"; ) {
      items.push(value());
      space();
      if (text[at] === "]") break;
      if (text[at] !== ",") throw bad("a comma");
      at += 1;
      space();
      if (text[at] === "]") throw bad("a value");
    }
    at += 1;
    return items;
  };
  const root = value();
  space();
  if (at < text.length) throw bad("the end");
  checkValues(root, inText, limits);
  return root;
}

/** Containers inside one another: exact for JSON, and for other bytes at least as many as a reader would go into. */
function depthOf(bytes) {
  const outside = latin1(bytes).replaceAll("\\\\", "").replaceAll('\\"', "").split('"').filter((_, at) => at % 2 === 0).join("");
  let [depth, most] = [0, 0];
  for (const [one] of outside.matchAll(/[[\]{}]/g)) {
    depth += one === "[" || one === "{" ? 1 : -1;
    most = Math.max(most, depth);
  }
  return most;
}

/** What is refused only once all of a text is known to be JSON, in one order: of several faults the last value's counts. */
function checkValues(root, inText, limits) {
  const text = (value) => {
    if ([...value].length > limits.text) throw new Refused("too_large", `expected at most ${limits.text} characters`);
    if (isOdd(value) || (!limits.controls && CONTROLS.test(value))) {
      throw new Refused("bad_unicode", `expected text without odd characters; came ${shown(value)}`);
    }
  };
  for (const values = [root]; values.length; ) {
    const value = values.pop();
    if (typeof value === "string") text(value);
    else if (Array.isArray(value)) {
      if (value.length > limits.items) throw new Refused("too_large", `expected at most ${limits.items} items`);
      for (const item of value) values.push(item);
    } else if (isObject(value)) {
      for (const [name, member] of inText.get(value)) {
        text(name);
        if (limits.names && !limits.names.test(name)) throw new Refused("bad_unicode", "expected an ASCII name");
        values.push(member);
      }
    } else if (value === null && !limits.nulls) throw new Refused("bad_json", NO_NULL);
  }
}

/** RFC 8785: names by UTF-16 code unit, numbers and text as ECMAScript writes them, which is what the RFC refers to. */
function canonicalText(value) {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonicalText(value[name])}`);
  return `{${members.join(",")}}`;
}

const canonical = (value) => encode(canonicalText(value));
const equal = (one, other) => one === other || (one !== undefined && other !== undefined && canonicalText(one) === canonicalText(other));
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const has = (object, name) => Object.hasOwn(object, name);
const inOrder = (one, other) => (one < other ? -1 : one > other ? 1 : 0);

// --- times and amounts

const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function isInstant(text) {
  const found = typeof text === "string" && /^(2[0-9]{3})-([0-9]{2})-([0-9]{2})T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$/.exec(text);
  if (!found || text.endsWith("\n")) return false;
  const [year, month, day] = found.slice(1, 4).map(Number);
  const leap = month === 2 && (year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0));
  return month >= 1 && month <= 12 && day >= 1 && day <= MONTH_DAYS[month - 1] + (leap ? 1 : 0);
}

function seconds(instant) {
  if (!isInstant(instant)) throw new Refused("schema_violation", `expected an instant; came ${shown(instant)}`);
  return Date.parse(instant) / 1000;
}

const instantOf = (at) => `${new Date(at * 1000).toISOString().slice(0, 19)}Z`;
const [FIRST_SECOND, LAST_SECOND] = [Date.parse("2000-01-01T00:00:00Z") / 1000, Date.parse("2999-12-31T23:59:59Z") / 1000];
/** The instant so many seconds later; beyond the years that instants have, the first or last there is. */
const shift = (instant, by) => instantOf(Math.min(Math.max(seconds(instant) + by, FIRST_SECOND), LAST_SECOND));

const MOMENT = new RegExp(
  /^([0-9]{4})(-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])/.source +
    /(?:\.([0-9]{1,9}))?(Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))$/.source,
);
const [FIRST_MOMENT, END_OF_MOMENTS] = [Date.parse("0001-01-01T00:00:00Z"), Date.parse("+010000-01-01T00:00:00Z")];

/** Microseconds since 1970 of a date-time as others write it, with its zone; undefined if it is none. */
function moment(text) {
  const [, year, rest, fraction = "", zone] = (typeof text === "string" && MOMENT.exec(text)) || [];
  // The calendar repeats itself after 400 years, and 2000 to 2399 are years of instants.
  if (!year || !isInstant(`${2000 + (Number(year) % 400)}${rest}Z`)) return undefined;
  const at = Date.parse(`${year}${rest}${zone}`);
  if (Number(year) === 0 || at < FIRST_MOMENT || at >= END_OF_MOMENTS) return undefined;
  return BigInt(at) * 1000n + BigInt(fraction.slice(0, 6).padEnd(6, "0"));
}

const micros = (instant) => BigInt(seconds(instant)) * 1000000n;

function durationSeconds(text) {
  const units = { D: 86400, H: 3600, M: 60, S: 1 };
  return [...text.matchAll(/([0-9]+)([DHMS])/g)].reduce((sum, [, count, unit]) => sum + Number(count) * units[unit], 0);
}

/** Billionths of an amount. */
function units(amount) {
  const [whole, fraction = ""] = amount.split(".");
  const number = BigInt(whole.replace("-", "")) * 1000000000n + BigInt(fraction.padEnd(9, "0"));
  return amount.startsWith("-") ? -number : number;
}

/** The amount of so many billionths, which are none below nothing. */
function amountOf(number) {
  const fraction = (number % 1000000000n).toString().padStart(9, "0").replace(/0+$/, "");
  return `${number / 1000000000n}${fraction ? "." : ""}${fraction}`;
}

// --- schemas

const patterns = new Map();

function matches(pattern, text) {
  if (!patterns.has(pattern)) patterns.set(pattern, new RegExp(pattern, "u"));
  return patterns.get(pattern).test(text);
}

const violated = (path, text) => new Refused("schema_violation", text, path);
const pointed = (name) => name.replaceAll("~", "~0").replaceAll("/", "~1");

/** With which code a member of JSON-LD is refused that nothing defines: a context of its own would give the names in it another meaning, and another keyword another form. */
const codeOfUnknown = (name) => (name === "@context" ? "context_not_allowed" : name.startsWith("@") ? "schema_violation" : "unknown_term");

/** As `checkSchema`, of JSON-LD. */
function checkLinked(schema, value) {
  try {
    checkSchema(schema, value);
  } catch (error) {
    const name = error instanceof Refused ? error.path.split("/").at(-1) : "";
    if (!name.startsWith("@")) throw error;
    throw new Refused(codeOfUnknown(name), error.message, error.path);
  }
}

/** Refuses a value that its JSON Schema does not allow: the part of draft 2020-12 that our own schemas are made of. */
function checkSchema(schema, value, path = "") {
  if (schema === true) return;
  if (schema === false) throw violated(path, "expected no such member here");
  if (schema.$ref) return checkSchema(DATA.schemas[schema.$ref.replace("#/$defs/", "")], value, path);
  if (schema.anyOf) checkChoice(schema, value, path);
  if (has(schema, "const") && !equal(schema.const, value)) throw violated(path, `expected ${shown(schema.const)}`);
  if (schema.enum && !schema.enum.includes(value)) throw violated(path, `expected ${schema.enum.join(" or ")}; came ${shown(value)}`);
  if (schema.type && !isOfType(schema.type, value)) throw violated(path, `expected ${schema.type}; came ${shown(value)}`);
  if (typeof value === "string") checkText(schema, value, path);
  else if (typeof value === "number") {
    if (value < (schema.minimum ?? value) || value > (schema.maximum ?? value)) throw violated(path, `expected a number in range; came ${value}`);
  } else if (Array.isArray(value)) checkItems(schema, value, path);
  else if (isObject(value)) checkMembers(schema, value, path);
  for (const one of schema.allOf ?? []) checkSchema(one, value, path);
  if (schema.if) checkSchema((holds(schema.if, value) ? schema.then : schema.else) ?? true, value, path);
}

function checkChoice(schema, value, path) {
  const names = schema.discriminator?.mapping;
  if (names) {
    const chosen = isObject(value) && typeof value.type === "string" && has(names, value.type) ? names[value.type] : undefined;
    if (chosen === undefined) throw violated(`${path}/type`, `expected ${Object.keys(names).join(" or ")}`);
    checkSchema({ $ref: chosen }, value, path);
  } else if (!schema.anyOf.some((one) => holds(one, value))) throw violated(path, "expected another value");
}

function holds(schema, value) {
  try {
    checkSchema(schema, value);
    return true;
  } catch (error) {
    if (error instanceof Refused) return false;
    throw error;
  }
}

function isOfType(type, value) {
  if (type === "integer") return Number.isSafeInteger(value);
  if (type === "array") return Array.isArray(value);
  if (type === "object") return isObject(value);
  return typeof value === type;
}

function checkText(schema, value, path) {
  const size = [...value].length;
  if (size < (schema.minLength ?? 0) || size > (schema.maxLength ?? size)) throw violated(path, `expected text of another length; came ${shown(value)}`);
  if (schema.pattern && !matches(schema.pattern, value)) throw violated(path, `expected text of another shape; came ${shown(value)}`);
}

function checkItems(schema, value, path) {
  if (value.length < (schema.minItems ?? 0) || value.length > (schema.maxItems ?? value.length)) {
    throw violated(path, `expected another number of items; came ${value.length}`);
  }
  value.forEach((item, at) => checkSchema(schema.prefixItems?.[at] ?? schema.items ?? true, item, `${path}/${at}`));
}

function checkMembers(schema, value, path) {
  const known = schema.properties ?? {};
  for (const [name, member] of Object.entries(value)) {
    const at = `${path}/${pointed(name)}`;
    if (has(known, name)) checkSchema(known[name], member, at);
    else if (schema.additionalProperties === false) throw new Refused("unknown_term", "expected a member of the schema; came another", at);
    else checkSchema(schema.additionalProperties ?? true, member, at);
  }
  for (const name of schema.required ?? []) if (!has(value, name)) throw violated(`${path}/${name}`, "expected this member; came none");
  for (const [name, others] of Object.entries(schema.dependentRequired ?? {})) {
    for (const other of others) if (has(value, name) && !has(value, other)) throw violated(`${path}/${other}`, "expected this member; came none");
  }
  const count = Object.keys(value).length;
  if (count < (schema.minProperties ?? 0) || count > (schema.maxProperties ?? count)) throw violated(path, "expected another number of members");
}
