/** Validation against the published schemas, and which code a fault has. */
import Ajv from 'ajv/dist/2020.js';
import { HireError, check, escaped } from './errors.js';
import { schemas } from './spec.js';
import { VERSIONS, amount, duration, isObject } from './encoding.js';
import { checkScope } from './scope.js';

const ajv = new Ajv({ allErrors: true, strict: false, unicodeRegExp: true });
const known = schemas();
for (const [name, schema] of Object.entries(known)) ajv.addSchema(discriminated(schema), name);
const credentials = Object.entries(schemas('schemas/credentials'));
for (const [, schema] of credentials) ajv.addSchema(schema);
/** The types of credential of the protocol, with the ids of their schemas. */
export const CREDENTIALS = new Map(credentials.map(([type, schema]) => [type, schema.$id]));

ajv.addSchema({ $defs: known.Inquiry.$defs, $ref: '#/$defs/WireScope' }, 'Scope');

const COST = { allOf: [{ $ref: 'Offer#/$defs/Price' }, { properties: { amount: { not: { pattern: '^-' } } } }] };
/** What the hook is told to hire (protocol-spec/harness.md). */
ajv.addSchema({
  type: 'object', required: ['provider', 'task', 'price'], additionalProperties: false,
  properties: {
    provider: { $ref: 'Offer#/properties/recipient' }, url: { type: 'string', pattern: '^wss?://[^/]' }, task: { type: 'string', minLength: 1, maxLength: 128 },
    summary: { type: 'string', maxLength: 4096 }, arbiter: { $ref: 'Offer#/properties/recipient' }, price: COST, opening: COST, opens: { enum: ['hirer', 'provider'] },
    criteria: { type: 'object', additionalProperties: { type: 'string', minLength: 1 } },
    inputs: { type: 'object', additionalProperties: { type: 'string', pattern: '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$' } },
  },
}, 'Order');

const defined = new Set();
/** A shape that no published schema has, of what is no JSON-LD. @param {string} name @param {any} schema */
export function define(name, schema) {
  ajv.addSchema(schema, name);
  defined.add(name);
}

/** An `anyOf` with a discriminator as a chain of conditions, so that faults are those of the one branch that is meant. @param {any} node @returns {any} */
function discriminated(node) {
  if (Array.isArray(node)) return node.map(discriminated);
  if (node === null || typeof node !== 'object') return node;
  const copy = Object.fromEntries(Object.entries(node).map(([name, value]) => [name, discriminated(value)]));
  if (!node.discriminator) return copy;
  const { propertyName, mapping } = node.discriminator;
  const { anyOf, discriminator, ...rest } = copy;
  return {
    ...rest, type: 'object', required: [propertyName], properties: { [propertyName]: { enum: Object.keys(mapping) } },
    allOf: Object.entries(mapping).map(([value, ref]) => ({ if: { properties: { [propertyName]: { const: value } } }, then: { $ref: ref } })),
  };
}

/** @param {any} error of ajv @param {boolean} plain whether a name with @ is one like others @returns {{code: string, path: string, rank: number}} */
function fault(error, plain) {
  const { instancePath: path, keyword, params } = error;
  if (keyword === 'additionalProperties') {
    const name = params.additionalProperty;
    if (name === '@context' && !plain) return { code: 'context_not_allowed', path: `${path}/@context`, rank: 0 };
    return { code: name.startsWith('@') && !plain ? 'schema_violation' : 'unknown_term', path: `${path}/${escaped(name)}`, rank: 2 };
  }
  const place = keyword === 'required' ? `${path}/${params.missingProperty}` : keyword === 'dependentRequired' ? `${path}/${params.missingProperty}` : path;
  if (keyword === 'required' && place === '/document/type') return { code: 'schema_violation', path: place, rank: -1 };
  if (place.endsWith('/@context') && !plain) return { code: 'context_not_allowed', path: place, rank: 0 };
  if (['if', 'anyOf', 'allOf'].includes(keyword)) return { code: 'schema_violation', path: place, rank: 9 };
  return { code: 'schema_violation', path: place, rank: ['required', 'false schema'].includes(keyword) ? 3 : 2 };
}

/** @param {string} name of a schema @param {any} value */
export function checkShape(name, value) {
  const validate = ajv.getSchema(name);
  if (!validate) throw new HireError('schema_violation', 'no such type', '/type');
  if (validate(value)) return;
  const [worst] = /** @type {any[]} */ (validate.errors).map((one) => fault(one, defined.has(name))).sort((a, b) => a.rank - b.rank);
  throw new HireError(worst.code, name, worst.path);
}

/** A proof that is there, of a type and purpose that exist, comes before the shape of it. @param {any} message */
function checkProofIsThere(message) {
  const { proof, type, contractProof, document } = message;
  checkLone(proof, '/proof');
  if (type === 'Acceptance' && !isObject(contractProof)) checkLone(contractProof, '/contractProof'); // what it holds is looked at in its place
  if (type === 'Offer' && document?.proof !== undefined) check(isObject(document.proof) || isThere(document.proof), 'proof_missing', '', '/document/proof'); // of one that is void nobody reads it (HIRE-LAN-10)
  if (!isObject(proof)) return;
  check(proof.type === 'DataIntegrityProof', 'suite_not_allowed', '', '/proof/type');
  check(typeof proof.cryptosuite === 'string' && SUITE.test(proof.cryptosuite), 'suite_not_allowed', '', '/proof/cryptosuite');
  check(['assertionMethod', 'authentication'].includes(proof.proofPurpose), 'proof_purpose_mismatch', '', '/proof/proofPurpose');
}

const SUITE = /^[a-z0-9][a-z0-9-]{0,63}$/;

/** @param {any} proof */
const isThere = (proof) => Boolean(proof) && (typeof proof !== 'object' || Object.keys(proof).length > 0);

/** One proof and no list. @param {any} proof @param {string} at */
function checkLone(proof, at) {
  check(isThere(proof), 'proof_missing', '', at);
  check(!Array.isArray(proof), 'proof_invalid', 'a list', at);
}

const MOVES_AND_NOTICES = new Set(Object.keys(known).filter((name) => known[name].properties.sender));

/** @param {any} message */
export function checkMessageShape(message) {
  const { version } = message;
  check(typeof version !== 'string' || VERSIONS.includes(version), 'version_not_supported', 'version', '/version'); // another one has other types
  check(typeof message.type === 'string' && MOVES_AND_NOTICES.has(message.type), 'schema_violation', 'type', '/type');
  checkProofIsThere(message);
  checkShape(message.type, message);
  if (message.type === 'Inquiry') {
    check(message.version === [...message.versions].sort(byVersion)[0], 'schema_violation', 'lowest version', '/version');
    check(message.closesAt >= message.respondBy, 'schema_violation', 'closesAt', '/closesAt');
    const { opens, limits, tender } = message;
    check(!tender || opens === 'provider', 'schema_violation', 'who opens in a tender', '/opens');
    check(!tender || limits.rounds === 1, 'schema_violation', 'rounds of a tender', '/limits/rounds');
    check(!tender || (tender.bidsClose <= tender.revealBy && tender.revealBy <= tender.awardBy), 'schema_violation', 'order of a tender', '/tender');
  }
  checkUsage(message.usage ?? []);
  if (message.type === 'Start') checkNames(message.inputs);
}

/** Each input has a name of its own (HIRE-MSG-07). @param {any[]} inputs */
function checkNames(inputs) {
  const names = inputs.map(({ name }) => name);
  const twice = names.findIndex((name, place) => names.indexOf(name) < place);
  check(twice < 0, 'schema_violation', 'two inputs of one name', `/inputs/${twice}/name`);
}

/** One total for each unit of a clause, and no part of it that is more (HIRE-MSG-06). @param {any[]} usage */
function checkUsage(usage) {
  const named = new Set();
  for (const [place, { clause, unit, amount: total, unproved }] of usage.entries()) {
    const name = JSON.stringify([clause, unit]);
    check(!named.has(name), 'schema_violation', 'two lines of one unit', `/usage/${place}`);
    named.add(name);
    check(unproved === undefined || amount(unproved) <= amount(total), 'schema_violation', 'more than the whole', `/usage/${place}/unproved`);
  }
}

/** @param {any} document whose schema was checked @param {string} [at] */
export function checkDocumentShape(document, at = '') {
  for (const role of ['hirer', 'provider']) checkSorted(document.methods[role], `${at}/methods/${role}`);
  if (!document.terms) return;
  checkTerms(document, `${at}/terms`);
  checkScope(document.terms.scope, document.id, `${at}/terms/scope`);
}

/** Terms that contradict themselves (HIRE-CTR-12). @param {any} document @param {string} at */
function checkTerms({ terms, id }, at) {
  const bad = (/** @type {boolean} */ holds, /** @type {string} */ path) => check(holds, 'schema_violation', 'terms', at + path);
  const once = (/** @type {string[]} */ names, /** @type {string} */ path) => bad(new Set(names).size === names.length, path);
  bad(terms.id === `${id}#terms`, '/id');
  checkSorted(terms.mustStayValid, `${at}/mustStayValid`);
  checkSorted(terms.policies, `${at}/policies`);
  const { notBefore, start, finish, until } = terms.deadlines;
  bad(notBefore === undefined || notBefore <= start, '/deadlines/start');
  bad(start <= finish, '/deadlines/finish');
  bad(finish <= until, '/deadlines/until');
  bad(duration(terms.deadlines.heartbeat) > 0, '/deadlines/heartbeat');
  bad(terms.subcontracting.depth > 0 === terms.subcontracting.allowed, '/subcontracting/depth');
  for (const way of ['notice', 'fee']) bad((terms.termination[way] !== undefined) === (terms.termination.convenience === way), `/termination/${way}`);
  const { fee } = terms.termination;
  bad(!fee || fee.currency === terms.price.currency, '/termination/fee');
  once(terms.evidence.predicates, '/evidence/predicates');
  // what one message has to answer fits into its lists
  bad(terms.deliverables.length + (terms.evidence.sbom === undefined ? 0 : 1) <= 64, '/deliverables');
  const limits = (terms.scope.grants ?? []).flatMap((/** @type {any} */ grant) => grant.constraint ?? [])
    .filter((/** @type {any} */ one) => ['count', 'payAmount', 'amount'].includes(one.leftOperand) && one.per === undefined);
  bad(limits.length <= 64, '/scope/grants');
  const criteria = terms.deliverables.flatMap((/** @type {any} */ one) => one.criteria.map((/** @type {any} */ criterion) => criterion.id));
  once(terms.deliverables.map((/** @type {any} */ one) => one.name), '/deliverables');
  once(criteria, '/deliverables');
  bad(criteria.length <= 64, '/deliverables');
  const milestones = terms.settlement.milestones ?? [];
  once(milestones.map((/** @type {any} */ one) => one.name), '/settlement/milestones');
  for (const one of milestones) {
    once(one.criteria, '/settlement/milestones');
    bad(one.criteria.every((/** @type {string} */ name) => criteria.includes(name)), '/settlement/milestones');
  }
  bad(milestones.reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + one.percent, 0) <= 100, '/settlement/milestones');
}

/** @param {string[]} list @param {string} path */
function checkSorted(list, path) {
  check(list.every((value, i) => i === 0 || list[i - 1] < value), 'schema_violation', 'a set that is not sorted', path);
}

const byVersion = (/** @type {string} */ a, /** @type {string} */ b) => a.localeCompare(b, 'en', { numeric: true });
