// Scopes: that one reads back, and that a subcontract lies inside the contract above it: 06, sections 6.2 to 6.4; 16,
// section 16.2.

const outside = (text) => new Refused("scope_exceeded", text);
const badScope = (text) => new Refused("schema_violation", `scope: expected ${text}`);

// --- targets

const PORTS = { http: "80", https: "443", ws: "80", wss: "443" };
const HOST_LABEL = "[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?";
const AUTHORITY = new RegExp(`^(${HOST_LABEL}(?:\\.${HOST_LABEL})*|\\[[0-9a-f:.]{2,45}\\])(?::([1-9][0-9]{0,4}))?$`);

/** A segment without what many servers take for its parameters, some of them once they have decoded it. */
const plainName = (part) => part.split(/;|%3B/)[0];

function parsePattern(text) {
  const no = (what) => new Refused("schema_violation", `target: expected ${what}; came ${shown(text)}`);
  const found = /^[A-Za-z0-9._~:/?[\]@!$&'()*+,;=%-]+$/.test(text) && /^([A-Za-z][A-Za-z0-9+.-]{0,31}):(?:\/\/([^/?]*))?([^?]*)(?:\?(.*))?$/s.exec(text);
  if (!found || text.length > 2048) throw no("an absolute URI of printable ASCII without fragment");
  const scheme = found[1].toLowerCase();
  let [, , authority, path, query] = found;
  if (authority !== undefined) {
    const host = AUTHORITY.exec(authority.toLowerCase());
    if (!host) throw no("a host name or address");
    authority = host[2] === undefined || host[2] === PORTS[scheme] ? host[1] : `${host[1]}:${host[2]}`;
    path = path.replace(/^\//, "");
  }
  const unescape = (part, refused) => part.replace(/%([0-9A-Fa-f]{2})?/g, (_, digits) => {
    if (digits === undefined) throw no("two hexadecimal digits after each percent sign");
    const character = String.fromCharCode(parseInt(digits, 16));
    if (refused.test(character)) throw no("nothing encoded that readers take in two ways");
    return /[A-Za-z0-9._~-]/.test(character) ? character : `%${digits.toUpperCase()}`;
  });
  const segments = path === "" ? [] : path.split("/").map((part) => unescape(part, /[*\x7f\x00-\x1f/\\%]/));
  if (segments.some((part) => [".", ".."].includes(plainName(part)) || (part && !plainName(part)))) throw no("no `.` or `..` segments");
  if (authority === undefined && !segments.length) throw no("something after the scheme");
  if (segments.length > 64) throw no("at most 64 segments");
  if (segments.slice(0, -1).includes("") || (segments.length === 1 && segments[0] === "")) throw no("no empty segments");
  if (query !== undefined) query = unescape(query, /[*\x7f\x00-\x1f]/);
  for (const part of [...segments, query ?? ""]) {
    try {
      decodeURIComponent(part);
    } catch {
      throw no("UTF-8 in what is percent-encoded");
    }
  }
  if ([...segments, query ?? ""].some((part) => part.includes("*") && part !== "*")) throw no("`*` only as a whole segment");
  if (authority === undefined && segments[0] === "*") throw no("a name after the scheme");
  const slash = authority !== undefined && segments.length ? "/" : "";
  const text1 = `${scheme}:${authority === undefined ? "" : `//${authority}`}${slash}${segments.join("/")}${query === undefined ? "" : `?${query}`}`;
  return { scheme, authority, segments, query, text: text1 };
}

function isInside(outer, inner) {
  if (outer.scheme !== inner.scheme || outer.authority !== inner.authority) return false;
  if (outer.query !== inner.query && outer.query !== "*") return false;
  const covers = (wide, narrow) => wide === "*" || wide === narrow;
  const [wide, narrow] = [outer.segments, inner.segments];
  if (wide.at(-1) !== "*") return wide.length === narrow.length && narrow.at(-1) !== "*" && wide.every((one, at) => covers(one, narrow[at]));
  const head = wide.slice(0, -1);
  return narrow.length > head.length && head.every((one, at) => covers(one, narrow[at])) && narrow[head.length] !== "";
}

/** One spelling for those of a resource that some servers tell apart and others do not. */
function plainTarget(target) {
  const { segments } = target;
  return { ...target, segments: (segments.at(-1) === "" ? segments.slice(0, -1) : segments).map(plainName) };
}

// --- reading

function writtenDuration(length) {
  const [days, rest] = [Math.floor(length / 86400), length % 86400];
  const parts = [[Math.floor(rest / 3600), "H"], [Math.floor((rest % 3600) / 60), "M"], [rest % 60, "S"]];
  const time = parts.filter(([count]) => count).map(([count, unit]) => `${count}${unit}`).join("");
  const date = days ? `${days}D` : "";
  return time ? `P${date}T${time}` : date ? `P${date}` : "PT0S";
}

/** The scope of a document, once it is in the form that compiling it gives: ids, order, spelling. */
function readScope(wire) {
  const base = wire.id.slice(0, wire.id.lastIndexOf("#"));
  if (!base || wire.id !== `${base}#scope`) throw badScope("an id that ends in #scope");
  const names = new Set();
  const rules = (list, read) => {
    if (!isSortedSet((list ?? []).map((rule) => rule.id.slice(base.length + 1)))) throw badScope("clauses sorted by name");
    return (list ?? []).map((rule) => {
      const name = rule.id.startsWith(`${base}#`) ? rule.id.slice(base.length + 1) : "";
      if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name) || name === "scope" || name === "terms" || names.has(name)) throw badScope("a name of its own for each clause");
      names.add(name);
      const target = parsePattern(rule.target);
      if (target.text !== rule.target) throw badScope("targets in their only spelling");
      return read({ name, action: rule.action, target }, rule);
    });
  };
  const bare = (one, rule) => {
    if (has(rule, "constraint") || has(rule, "duty")) throw badScope("no constraint there");
    return one;
  };
  const extensions = wire.extensions ?? {};
  const uris = Object.keys(extensions);
  if (!uris.every((uri) => /^[A-Za-z][A-Za-z0-9+.-]{0,31}:[!-~]{1,500}$/.test(uri)) || (has(wire, "extensions") && !uris.length)) throw badScope("extensions keyed by URI");
  const critical = wire.critical ?? [];
  if (!critical.every((uri) => has(extensions, uri)) || !isSortedSet(critical)) throw badScope("critical extensions that are there");
  return {
    grants: rules(wire.grants, (one, rule) => ({ ...one, ...readConstraints(rule, base, one.name), approval: readDuty(rule, base, one.name) })),
    prohibitions: rules(wire.prohibitions, bare),
    obligations: rules(wire.obligations, (one, rule) => {
      if (has(rule, "duty")) throw badScope("no approval of an obligation");
      const { until, notBefore, limits, conditions } = readConstraints(rule, base, one.name);
      if (notBefore || limits.size || conditions.size) throw badScope("nothing but a time of an obligation");
      return { ...one, until };
    }),
    extensions,
    critical,
  };
}

function readDuty(rule, base, name) {
  if (rule.duty && rule.duty[0].id !== `${base}#${name}.approval`) throw badScope("the derived id of an approval");
  return Boolean(rule.duty);
}

function readConstraints(rule, base, name) {
  const found = { limits: new Map(), conditions: new Map(), notBefore: undefined, until: undefined };
  const constraints = rule.constraint ?? [];
  if (!isSortedSet(constraints.map((one) => one.id))) throw badScope("constraints sorted by id");
  for (const one of constraints) {
    const { leftOperand: left, operator, rightOperand: right, unit, per } = one;
    let id;
    if (["count", "payAmount", "amount"].includes(left) && operator === "lteq" && right.length === 1) {
      const of = left === "count" ? "count" : (unit ?? "");
      const fits = left === "count" ? unit === undefined : left === "payAmount" ? /^[A-Z]{3}$/.test(of) : /^[a-z][a-z0-9-]{0,31}$/.test(of) && !["count", "id", "type"].includes(of);
      const amount = matches(DATA.amount, right[0]) && units(right[0]) >= 0n && !(left === "count" && right[0].includes("."));
      if (!fits || !amount || (per !== undefined && !isPeriod(per))) throw badScope("a limit");
      id = `limit.${of}${per === undefined ? "" : `.${per}`}`;
      found.limits.set(`${of} ${per ?? ""}`, units(right[0]));
    } else if (left === "dateTime" && right.length === 1 && isInstant(right[0]) && unit === undefined && per === undefined && operator !== "isAnyOf") {
      id = operator === "gteq" ? "window.not-before" : "window.until";
      found[operator === "gteq" ? "notBefore" : "until"] = right[0];
    } else if (["dataClass", "egress", "region"].includes(left) && operator === "isAnyOf" && unit === undefined && per === undefined) {
      if (!isSortedSet(right) || !right.every((value) => /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/.test(value))) throw badScope("plain values, sorted");
      id = `condition.${left}`;
      found.conditions.set(left, new Set(right));
    } else throw badScope(`no constraint of ${left} with ${operator}`);
    if (one.id !== `${base}#${name}.${id}`) throw badScope("the derived id of a constraint");
  }
  if (found.notBefore && found.until && found.notBefore > found.until) throw badScope("a window that ends after it begins");
  return found;
}

function isPeriod(text) {
  return matches(DATA.duration, text) && durationSeconds(text) > 0 && writtenDuration(durationSeconds(text)) === text;
}

// --- one inside another

function checkDrawn(own, above) {
  const [parent, read] = [readScope(above.scope), readScope(own.scope)];
  // What the hirer of a subcontract only hands over, the inputs of the task, is its own to give.
  const handed = (grant) => grant.action === "artifact:read" && grant.target.query === undefined && own.task.inputs.includes(grant.target.segments.at(-1));
  const child = { ...read, grants: read.grants.filter((grant) => !handed(grant)) };
  for (const one of parent.prohibitions) {
    const kept = child.prohibitions.some((other) => other.action === one.action && isInside(plainTarget(other.target), plainTarget(one.target)));
    if (!kept) throw outside(`the prohibition ${one.name} is not carried over`);
  }
  for (const one of parent.obligations) {
    const kept = child.obligations.some((other) => other.action === one.action && other.target.text === one.target.text && other.until === one.until);
    if (!kept) throw outside(`the obligation ${one.name} is not carried over`);
  }
  for (const [uri, value] of Object.entries(parent.extensions)) {
    const carried = has(child.extensions, uri) && equal(child.extensions[uri], value);
    if (!carried || (parent.critical.includes(uri) && !child.critical.includes(uri))) throw outside(`the extension ${uri} is not carried over`);
  }
  const left = new Map(parent.grants.map((grant) => [grant.name, new Map(grant.limits)]));
  for (const grant of child.grants) {
    const wide = parent.grants.find((one) => coversGrant(one, grant) && [...left.get(one.name)].every(([name, room]) => grant.limits.has(name) && grant.limits.get(name) <= room));
    if (!wide) throw outside(`no grant covers ${grant.name}`);
    const room = left.get(wide.name);
    for (const name of room.keys()) room.set(name, room.get(name) - grant.limits.get(name));
  }
}

function coversGrant(wide, narrow) {
  if (wide.action !== narrow.action || !isInside(wide.target, narrow.target)) return false;
  if (wide.notBefore && !(narrow.notBefore && narrow.notBefore >= wide.notBefore)) return false;
  if (wide.until && !(narrow.until && narrow.until <= wide.until)) return false;
  if (wide.approval && !narrow.approval) return false;
  return [...wide.conditions].every(([name, values]) => narrow.conditions.has(name) && [...narrow.conditions.get(name)].every((value) => values.has(value)));
}

/** Returns if whatever `own` terms allow, those `above` allow, and whatever those demand, `own` demand. */
function checkWithin(own, above) {
  if (!above.subcontracting.allowed) throw outside("the parent allows no subcontract");
  if (own.subcontracting.depth >= above.subcontracting.depth) throw outside("a subcontract has fewer levels below it");
  checkDrawn(own, above);
  const price = units(own.price.amount);
  if (price !== 0n && (own.price.currency !== above.price.currency || price > units(above.price.amount))) throw outside("the price is above the parent's");
  const [inner, outer] = [own.deadlines, above.deadlines];
  if (outer.notBefore && (inner.notBefore ?? inner.start) < outer.notBefore) throw outside("it begins before the parent");
  const reviewed = (times) => shift(times.finish, durationSeconds(times.review));
  if (inner.finish >= outer.finish || reviewed(inner) >= reviewed(outer) || inner.until >= outer.until) throw outside("it ends no earlier than the parent");
  const [said, asked] = [own.evidence, above.evidence];
  if (!asked.predicates.every((one) => said.predicates.includes(one))) throw outside("the parent demands more statements");
  if ((asked.sbom !== undefined && said.sbom !== asked.sbom) || (asked.c2pa && !said.c2pa)) throw outside("the parent demands more evidence");
  const [kept, data] = [own.dataHandling, above.dataHandling];
  if (kept.purpose !== data.purpose) throw outside("the purpose is another than the parent's");
  if (data.classes.length && !(kept.classes.length && kept.classes.every((one) => data.classes.includes(one)))) throw outside("more classes of data than the parent's");
  if (durationSeconds(kept.retention) > durationSeconds(data.retention)) throw outside("data is kept longer than the parent allows");
  if ((kept.onward && !data.onward) || (kept.training && !data.training)) throw outside("the parent allows neither more passing on nor more training");
  if (!data.onward && own.task.inputs.some((input) => above.task.inputs.includes(input))) throw outside("the parent does not allow passing on its inputs");
}
