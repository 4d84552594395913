/** Scope: its one spelling, targets, the decision, and whether one lies inside another (page 06). */
import { check, HireError } from './errors.js';
import { amount, amountText, digestOfBytes, duration, instant, isInstant, jcs, seconds } from './encoding.js';

/**
 * @typedef {{id: string, type: string, grants?: any[], prohibitions?: any[], obligations?: any[], extensions?: any, critical?: string[]}} Scope
 * @typedef {{name: string, target: string, amounts?: Record<string, string>, facts?: Record<string, string>}} Action
 * @typedef {{request: string, clause: string, arguments: string, uses: number, until: string}} Approved
 */

const NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;
const EXTENSION = /^[A-Za-z][A-Za-z0-9+.-]{0,31}:[!-~]{1,500}$/;
const VALUE = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/;
const KINDS = ['grants', 'prohibitions', 'obligations'];
const OPERATORS = /** @type {Record<string, string[]>} */ ({
  count: ['lteq'], payAmount: ['lteq'], amount: ['lteq'], dateTime: ['gteq', 'lteq'], dataClass: ['isAnyOf'], egress: ['isAnyOf'], region: ['isAnyOf'],
});

/** The id that a constraint must have. @param {string} rule @param {any} constraint */
function derivedId(rule, { leftOperand, operator, unit, per }) {
  if (leftOperand === 'dateTime') return `${rule}.window.${operator === 'gteq' ? 'not-before' : 'until'}`;
  if (['count', 'payAmount', 'amount'].includes(leftOperand)) return `${rule}.limit.${leftOperand === 'count' ? 'count' : unit}${per ? `.${per}` : ''}`;
  return `${rule}.condition.${leftOperand}`;
}

/** @param {number} seconds @returns {string} the shortest duration that is as long */
function shortest(seconds) {
  const part = (/** @type {number} */ number, /** @type {string} */ unit) => (number ? `${number}${unit}` : '');
  const time = part(Math.floor(seconds / 3600) % 24, 'H') + part(Math.floor(seconds / 60) % 60, 'M') + part(seconds % 60, 'S');
  return `P${part(Math.floor(seconds / 86400), 'D')}${time && `T${time}`}`;
}

/** @param {any} constraint @param {string} path */
function checkConstraint({ leftOperand, operator, rightOperand, unit, per }, path) {
  const bad = (/** @type {boolean} */ holds, /** @type {string} */ says) => check(holds, 'schema_violation', says, path);
  bad(OPERATORS[leftOperand]?.includes(operator), 'operator');
  bad(operator === 'isAnyOf' || rightOperand.length === 1, 'one value');
  if (operator === 'isAnyOf') {
    bad(unit === undefined && per === undefined, 'a condition without unit');
    return bad(rightOperand.every((/** @type {string} */ one) => VALUE.test(one)), 'a value');
  }
  if (leftOperand === 'dateTime') {
    bad(unit === undefined && per === undefined, 'a window without unit');
    return bad(isInstant(rightOperand[0]), 'an instant');
  }
  bad((leftOperand === 'count') === (unit === undefined), 'unit');
  bad(leftOperand !== 'payAmount' || /^[A-Z]{3}$/.test(unit), 'a currency');
  bad(leftOperand !== 'amount' || (/^[a-z]/.test(unit) && !['count', 'id', 'type'].includes(unit)), 'a unit');
  const value = amount(rightOperand[0]);
  bad(amountText(value) === rightOperand[0] && value >= 0n, 'a limit');
  bad(leftOperand !== 'count' || value % 1_000_000_000n === 0n, 'a whole count');
  if (per !== undefined) bad(duration(per) > 0 && shortest(duration(per)) === per, 'a period');
}

/** @param {Scope} scope whose shape was checked @param {string} base @param {string} [at] */
export function checkScope(scope, base, at = '') {
  const bad = (/** @type {boolean} */ holds, /** @type {string} */ says, /** @type {string} */ path) => check(holds, 'schema_violation', says, at + path);
  bad(scope.id === `${base}#scope`, 'id', '/id');
  bad((scope.critical ?? []).length === 0, 'an extension that is not known', '/critical');
  const uris = scope.extensions === undefined ? ['x:x'] : Object.keys(scope.extensions);
  bad(uris.length > 0 && uris.every((uri) => EXTENSION.test(uri)), 'extensions', '/extensions');
  const names = new Set(['scope', 'terms']);
  for (const kind of KINDS) {
    const rules = /** @type {any} */ (scope)[kind] ?? [];
    for (const [i, rule] of rules.entries()) {
      const path = `/${kind}/${i}`;
      const name = rule.id.slice(base.length + 1);
      bad(rule.id.startsWith(`${base}#`) && NAME.test(name) && !names.has(name), 'id of a clause', `${path}/id`);
      names.add(name);
      bad(i === 0 || rules[i - 1].id < rule.id, 'not sorted', path);
      bad(targetText(parseTarget(rule.target, { pattern: true, code: 'schema_violation' })) === rule.target, 'spelling', `${path}/target`);
      bad(kind === 'grants' || rule.duty === undefined, 'a duty elsewhere', `${path}/duty`);
      const held = rule.constraint ?? [];
      const edge = (/** @type {string} */ operator) => held.find((/** @type {any} */ one) => one.leftOperand === 'dateTime' && one.operator === operator)?.rightOperand[0];
      bad(kind === 'grants' || held.length === (kind === 'obligations' && edge('lteq') ? 1 : 0), 'a constraint elsewhere', path);
      bad(!edge('gteq') || !edge('lteq') || edge('gteq') <= edge('lteq'), 'a window', path);
      for (const duty of rule.duty ?? []) bad(duty.id === `${rule.id}.approval`, 'id of a duty', `${path}/duty`);
      for (const [j, constraint] of (rule.constraint ?? []).entries()) {
        const where = `${path}/constraint/${j}`;
        checkConstraint(constraint, at + where);
        bad(constraint.id === derivedId(rule.id, constraint), 'id of a constraint', where);
        bad(j === 0 || rule.constraint[j - 1].id < constraint.id, 'not sorted', where);
        bad(constraint.rightOperand.every((/** @type {string} */ one, /** @type {number} */ k) => k === 0 || constraint.rightOperand[k - 1] < one), 'not sorted', where);
      }
    }
  }
}

const PORTS = /** @type {Record<string, string>} */ ({ http: '80', https: '443', ws: '80', wss: '443' });
const refuse = (/** @type {string} */ code, text = '') => new HireError(code, `target ${text}`);

const ALLOWED = /^[A-Za-z0-9._~:/?[\]@!$&'()*+,;=%-]{1,2048}$/;
const URI = /^([A-Za-z][A-Za-z0-9+.-]{0,31}):(?:\/\/([^/?]*))?([^?]*)(?:\?(.*))?$/;
const AUTHORITY = /^([a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?)*|\[[0-9a-f:.]{2,45}\])(?::([1-9][0-9]{0,4}))?$/;

/** @typedef {{scheme: string, authority: string | undefined, segments: string[], query: string | undefined}} Target */

/** @param {string} text @param {{pattern?: boolean, code?: string}} [options] @returns {Target} */
export function parseTarget(text, { pattern = false, code = 'scope_exceeded' } = {}) {
  const match = ALLOWED.test(text) ? URI.exec(text) : null;
  if (!match) throw refuse(code, text);
  const scheme = match[1].toLowerCase();
  const host = match[2] === undefined ? undefined : AUTHORITY.exec(match[2].toLowerCase());
  if (host === null) throw refuse(code, text);
  const authority = host && (host[2] === undefined || host[2] === PORTS[scheme] ? host[1] : `${host[1]}:${host[2]}`);
  const normal = (/** @type {string} */ part, /** @type {RegExp} */ never) => part.replace(/%([0-9a-fA-F]{2})?/g, (_, hex) => {
    const char = hex === undefined ? '*' : String.fromCharCode(parseInt(hex, 16));
    if (never.test(char)) throw refuse(code, text);
    return /[A-Za-z0-9._~-]/.test(char) ? char : `%${hex.toUpperCase()}`;
  });
  const path = authority === undefined ? match[3] : match[3].replace(/^\//, '');
  const segments = path === '' ? [] : path.split('/').map((part) => normal(part, /[/\\%*\u0000-\u001f\u007f]/));
  const query = match[4] === undefined ? undefined : normal(match[4], /[*\u0000-\u001f\u007f]/);
  const empty = segments.slice(0, -1).includes('') || (segments.length === 1 && segments[0] === '');
  const nameless = authority === undefined && (segments.length === 0 || segments[0] === '*');
  // What a server is left with that takes parameters off a segment, perhaps after decoding it.
  const dots = segments.some((one) => ['.', '..'].includes(named(one)) || (named(one) === '' && one !== ''));
  if (empty || nameless || segments.length > 64 || dots || ![...segments, query ?? ''].every(readable)) throw refuse(code, text);
  if ([...segments, query ?? ''].some((part) => part.includes('*') && !(pattern && part === '*'))) throw refuse(code, text);
  return { scheme, authority, segments, query };
}

/** Whether what is percent-encoded is UTF-8. @param {string} part */
const readable = (part) => {
  try {
    decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
};

/** The only spelling of a target. @param {Target} target */
export function targetText({ scheme, authority, segments, query }) {
  const path = segments.join('/');
  return `${scheme}:${authority === undefined ? path : `//${authority}${segments.length ? `/${path}` : ''}`}${query === undefined ? '' : `?${query}`}`;
}

/** Whether a prohibition reaches a target, however it is spelled. @param {string} pattern @param {Target} target */
function forbids(pattern, target) {
  return inside(plain(parseTarget(pattern, { pattern: true })), plain(target));
}

/** @param {Target} target @returns {Target} */
function plain(target) {
  const segments = target.segments.at(-1) === '' ? target.segments.slice(0, -1) : target.segments;
  return { ...target, segments: segments.map(named) };
}

/** A segment without its parameters. @param {string} segment */
const named = (segment) => segment.split(/;|%3B/)[0];

/** Whether a pattern covers a target, or all that another pattern covers. @param {string} pattern @param {Target} target */
function targetInside(pattern, target) {
  return inside(parseTarget(pattern, { pattern: true }), target);
}

/** @param {Target} wide @param {Target} target */
function inside(wide, target) {
  if (wide.scheme !== target.scheme || wide.authority !== target.authority) return false;
  if (wide.query !== '*' && wide.query !== target.query) return false;
  const narrow = target.segments;
  const covers = (/** @type {string} */ segment, /** @type {number} */ i) => segment === '*' || segment === narrow[i];
  // a last `*` stands for one segment, never an empty one, and whatever is deeper; no fixed number of segments covers that
  if (wide.segments.at(-1) !== '*') return wide.segments.length === narrow.length && narrow.at(-1) !== '*' && wide.segments.every(covers);
  const head = wide.segments.slice(0, -1);
  return narrow.length > head.length && head.every(covers) && narrow[head.length] !== '';
}

/** @param {string} id */
const shortName = (id) => id.slice(id.indexOf('#') + 1);
const isLimit = (/** @type {any} */ one) => ['count', 'payAmount', 'amount'].includes(one.leftOperand);
const unitOf = (/** @type {any} */ limit) => (limit.leftOperand === 'count' ? 'count' : limit.unit);
/** @param {any} limit @param {number} now @returns {string} under which name a limit is booked */
function bookedAs(limit, now) {
  if (!limit.per) return unitOf(limit);
  const period = duration(limit.per);
  return `${unitOf(limit)}.${limit.per}@${instant(Math.floor(now / period) * period)}`;
}

/** @param {Action} action @returns {string} digest of what an approval is good for */
export const actionDigest = ({ name, target, amounts = {} }) =>
  digestOfBytes(jcs({ action: name, amounts: { count: '1', ...amounts }, target: targetText(parseTarget(target)) }));

/**
 * @param {Scope} scope @param {Action} action
 * @param {{now: number, used?: Record<string, Record<string, string>>, approved?: Approved[]}} state
 * @returns {{answer: 'yes' | 'no' | 'ask', clause?: string, code?: string, charges?: Record<string, [string, string]>, remaining?: Record<string, string>}}
 */
export function decide(scope, action, { now, used = {}, approved = [] }) {
  let target;
  const amounts = { count: '1', ...action.amounts };
  try {
    target = parseTarget(action.target);
    if (Object.values(amounts).some((value) => amount(value) < 0n || amountText(amount(value)) !== value)) throw refuse('scope_exceeded');
    if (!/^[1-9][0-9]*$/.test(amounts.count)) throw refuse('scope_exceeded');
  } catch { return { answer: 'no', code: 'scope_exceeded', clause: 'scope', remaining: {} }; }
  for (const rule of scope.prohibitions ?? []) {
    if (rule.action === action.name && forbids(rule.target, target)) return { answer: 'no', code: 'scope_exceeded', clause: shortName(rule.id), remaining: {} };
  }
  const args = actionDigest(action);
  // How far each grant of the action goes (HIRE-SCO-07), of equals the first; one with an approval clause stands behind all without.
  /** @type {any} */ let nearest = { answer: 'no', code: 'scope_exceeded', clause: 'scope', remaining: {} };
  let reached = -1;
  const came = (/** @type {number} */ far, /** @type {any} */ said) => { if (far > reached) [reached, nearest] = [far, said]; };
  for (const rule of scope.grants ?? []) {
    if (rule.action !== action.name) continue;
    const clause = shortName(rule.id);
    const no = { answer: 'no', code: 'scope_exceeded', clause };
    if (!targetInside(rule.target, target)) { came(OUTSIDE, { ...no, remaining: {} }); continue; }
    const usedOf = under(used, clause) ?? {};
    const found = weigh(rule, amounts, action.facts ?? {}, now, usedOf);
    if (found.left < ALLOWS) { came(found.left, { ...no, remaining: found.before }); continue; }
    if (!rule.duty) return { answer: 'yes', clause, charges: found.charges, remaining: found.after };
    const uses = (/** @type {Approved} */ one) => amount(usedOf[`approval:${one.request}`] ?? '0');
    const good = approved.find((one) => one.clause === clause && one.arguments === args && now <= seconds(one.until) && uses(one) < amount(String(one.uses)));
    if (good) came(ALLOWS + 1, { answer: 'yes', clause, charges: { ...found.charges, [`approval:${good.request}`]: ['1', String(good.uses)] }, remaining: found.after });
    else came(ALLOWS, { answer: 'ask', code: 'approval_required', clause, remaining: found.before });
  }
  return nearest;
}

/** What stands under a name in an object of others' names, of which `constructor` may be one. @template T @param {Record<string, T>} object @param {string} name @returns {T | undefined} */
const under = (object, name) => (Object.hasOwn(object, name) ? object[name] : undefined);

const [OUTSIDE, WINDOW, CONDITION, LIMIT, ALLOWS] = [0, 1, 2, 3, 4];

/** @param {any} rule @param {Record<string, string>} amounts @param {Record<string, string>} facts @param {number} now @param {Record<string, string>} used */
function weigh(rule, amounts, facts, now, used) {
  let left = ALLOWS;
  const holds = (/** @type {boolean} */ good, /** @type {number} */ at) => { if (!good) left = Math.min(left, at); };
  /** @type {Record<string, [string, string]>} */ const charges = {};
  /** @type {Record<string, string>} */ const before = {};
  /** @type {Record<string, string>} */ const after = {};
  for (const one of rule.constraint ?? []) {
    const [value] = one.rightOperand;
    if (one.leftOperand === 'dateTime') holds(one.operator === 'gteq' ? now >= seconds(value) : now <= seconds(value), WINDOW);
    else if (!isLimit(one)) holds(facts[one.leftOperand] !== undefined && one.rightOperand.includes(facts[one.leftOperand]), CONDITION);
    else {
      const name = bookedAs(one, now);
      const label = unitOf(one) + (one.per ? `.${one.per}` : '');
      const room = amount(value) - amount(under(used, name) ?? '0');
      before[label] = amountText(room);
      const asked = under(amounts, unitOf(one));
      if (asked === undefined || amount(asked) > room) { holds(false, LIMIT); continue; }
      charges[name] = [asked, value];
      after[label] = amountText(room - amount(asked));
    }
  }
  return { left, charges, before, after };
}

/**
 * Whether one scope lies inside another (section 6.4).
 * @param {Scope} child @param {Scope} parent @param {(rule: any) => boolean} [leftOut] grants that are no authority of the parent's
 */
export function scopeInside(child, parent, leftOut = () => false) {
  const target = (/** @type {any} */ rule) => parseTarget(rule.target, { pattern: true });
  const banned = (/** @type {any} */ theirs) => (child.prohibitions ?? []).some((rule) => rule.action === theirs.action && forbids(rule.target, target(theirs)));
  const owed = (/** @type {any} */ theirs) => (child.obligations ?? []).some((rule) => rule.action === theirs.action
    && targetText(target(rule)) === targetText(target(theirs)) && sameRest(rule, theirs));
  const kept = (/** @type {[string, any]} */ [uri, value]) => child.extensions?.[uri] !== undefined && jcs(child.extensions[uri]) === jcs(value)
    && (!parent.critical?.includes(uri) || child.critical?.includes(uri));
  if (!(parent.prohibitions ?? []).every(banned) || !(parent.obligations ?? []).every(owed) || !Object.entries(parent.extensions ?? {}).every(kept)) return false;
  /** @type {Map<any, bigint>} */ const left = new Map(); // of each limit that the grants before have drawn on
  return (child.grants ?? []).every((grant) => leftOut(grant) || (parent.grants ?? []).some((wide) => draws(grant, wide, left)));
}

/** @param {any} a @param {any} b */
function sameRest(a, b) {
  const rest = (/** @type {any} */ rule) => jcs((rule.constraint ?? []).map((/** @type {any} */ { id, ...one }) => one));
  return rest(a) === rest(b);
}

/** Whether a grant lies inside a wider one and what is left of its limits, which it then takes. @param {any} grant @param {any} wide @param {Map<any, bigint>} left */
function draws(grant, wide, left) {
  if (grant.action !== wide.action || !targetInside(wide.target, parseTarget(grant.target, { pattern: true }))) return false;
  if (wide.duty && !grant.duty) return false;
  /** @type {Map<any, bigint>} */ const taken = new Map();
  const fits = (wide.constraint ?? []).every((/** @type {any} */ bound) => {
    const mine = (grant.constraint ?? []).find((/** @type {any} */ one) => one.leftOperand === bound.leftOperand && one.operator === bound.operator && one.unit === bound.unit && one.per === bound.per);
    if (!mine) return false;
    if (bound.operator === 'isAnyOf') return mine.rightOperand.every((/** @type {string} */ one) => bound.rightOperand.includes(one));
    if (bound.leftOperand === 'dateTime') return bound.operator === 'gteq' ? seconds(mine.rightOperand[0]) >= seconds(bound.rightOperand[0]) : seconds(mine.rightOperand[0]) <= seconds(bound.rightOperand[0]);
    taken.set(bound, (left.get(bound) ?? amount(bound.rightOperand[0])) - amount(mine.rightOperand[0]));
    return /** @type {bigint} */ (taken.get(bound)) >= 0n;
  });
  if (fits) for (const [bound, room] of taken) left.set(bound, room);
  return fits;
}
