/** What a credential of others says, once it has the shape of one (page 11, sections 11.1, 11.4 and 11.5). Nothing in it is verified. */
import { check } from './errors.js';
import { isObject, jcs, moment } from './encoding.js';
import { checkContexts, verifyAlone } from './proofs.js';
import { CREDENTIALS, checkShape } from './schema.js';

const BYTES = 64 * 1024;
const URL = /^[A-Za-z][A-Za-z0-9+.-]{0,31}:[!-~]{1,2000}$/;
const NAME = /^(?:[A-Za-z0-9][A-Za-z0-9_-]{0,127}|[A-Za-z][A-Za-z0-9+.-]{0,31}:[!-~]{1,500})$/;
const TYPED = ['credentialStatus', 'credentialSchema', 'termsOfUse', 'evidence', 'refreshService', 'confidenceMethod'];
const LANGUAGE = ['@value', '@language', '@direction'];
/** The member of a type of ours that names who must have issued it (HIRE-VC-04). */
const BY = new Map([['MembershipCredential', 'memberOf'], ['PartOfCredential', 'partOf'], ['SuppliesToCredential', 'suppliesTo']]);

/** @typedef {{types: string[], issuer: string, subjects: any[], begins?: number, ends?: number}} Said */

const listOf = (/** @type {any} */ value) => (Array.isArray(value) ? value : [value]);
const wrong = (/** @type {boolean} */ holds, /** @type {string} */ says) => check(holds, 'schema_violation', says);
const isTypes = (/** @type {any} */ value) => listOf(value).length > 0 && listOf(value).every((name) => typeof name === 'string' && NAME.test(name));

/** @param {any} value @param {string} says */
function checkUrl(value, says) {
  wrong(typeof value === 'string' && URL.test(value), says);
  return value;
}

/** @param {any} value @param {string} says @returns {any[]} */
function objects(value, says) {
  wrong(listOf(value).length > 0 && listOf(value).every((one) => isObject(one) && Object.keys(one).length > 0), says);
  return listOf(value);
}

/** @param {any} credential @param {(credential: any) => void} [contexts] which contexts it may have @param {number} [bytes] how large it may be @returns {Said} */
export function readCredential(credential, contexts = checkContexts, bytes = BYTES) {
  check(!listOf(credential.type).includes('EnvelopedVerifiableCredential'), 'suite_not_allowed', 'a JWT');
  check(Buffer.byteLength(jcs(credential)) <= bytes, 'too_large', 'credential');
  contexts(credential);
  checkSpelling(credential);
  if ('id' in credential) checkUrl(credential.id, 'id');
  const { type, issuer } = credential;
  wrong(isTypes(type) && listOf(type).includes('VerifiableCredential'), 'type');
  const subjects = objects(credential.credentialSubject, 'subject');
  for (const subject of subjects) if ('id' in subject) checkUrl(subject.id, 'id of a subject');
  checkNames(credential);
  if (isObject(issuer)) checkNames(issuer);
  const [begins, ends] = ['validFrom', 'validUntil'].map((name) => (name in credential ? moment(credential[name]) : undefined));
  wrong(begins === undefined || ends === undefined || begins <= ends, 'validity');
  for (const name of TYPED.filter((one) => one in credential)) {
    for (const entry of objects(credential[name], name)) {
      wrong(isTypes(entry.type), `type in ${name}`);
      if ('id' in entry || name === 'credentialSchema') checkUrl(entry.id, `id in ${name}`);
    }
  }
  const types = [...new Set(listOf(type))].filter((name) => name !== 'VerifiableCredential');
  return { types, issuer: checkUrl(isObject(issuer) ? issuer.id : issuer, 'issuer'), subjects, begins, ends };
}

/** Nothing is said in another place or by another name than where it is looked for (HIRE-VC-06). @param {any} credential */
function checkSpelling({ proof, ...credential }) {
  const mentioned = new Set();
  const look = (/** @type {any} */ node, /** @type {boolean} */ top) => {
    if (Array.isArray(node)) for (const one of node) look(one, false);
    if (!isObject(node)) return;
    for (const [name, value] of Object.entries(node)) {
      const keyword = LANGUAGE.includes(name) || (top && name === '@context');
      check(keyword || !(name.includes(':') || name.startsWith('@')), 'unknown_term', name);
      look(value, false);
    }
    if (typeof node.id !== 'string') return;
    wrong(!mentioned.has(node.id), 'two objects of one id');
    mentioned.add(node.id);
  };
  look(credential, true);
}

/** Name and description are text, or text in languages. @param {any} of */
function checkNames(of) {
  for (const member of ['name', 'description'].filter((name) => name in of)) {
    const listed = listOf(of[member]);
    const isText = (/** @type {any} */ one) => typeof one === 'string' || (isObject(one) && '@value' in one
      && Object.entries(one).every(([name, word]) => LANGUAGE.includes(name) && typeof word === 'string'));
    wrong(listed.length > 0 && listed.every(isText), member);
  }
}

/** That a credential is its issuer's, of a kind that may say it, and in its time. @param {any} credential @param {Said} said @param {Pick<import('./did.js').Resolver, 'resolve'>} resolver @param {number} now */
export async function verifyIssued(credential, said, resolver, now) {
  const method = [credential.proof].flat()[0]?.verificationMethod; // HIRE-KEY-10
  await verifyAlone(credential, { did: await resolver.resolve(said.issuer, { method, relationship: 'assertionMethod' }), purpose: 'assertionMethod', now, foreign: true });
  // last: what only does not count now has to be its issuer's all the same
  checkClaims(credential, said);
  const { begins = -Infinity, ends = Infinity } = said;
  check(begins <= now && now <= ends, 'policy_denied', 'validity');
}

/** What its type and its schemas (HIRE-VC-02 to HIRE-VC-04). @param {any} credential @param {Said} said */
function checkClaims(credential, { types, issuer }) {
  if (types.some((type) => CREDENTIALS.has(type))) checkClaim(credential, types, issuer);
  for (const { id, type } of 'credentialSchema' in credential ? listOf(credential.credentialSchema) : []) {
    const [described] = [...CREDENTIALS].find(([, name]) => name === id) ?? [];
    check(type === 'JsonSchema' && described !== undefined, 'policy_denied', 'schema');
    wrong(types.includes(/** @type {string} */ (described)), 'a schema of another type');
  }
}

/** One of a type of ours, which is closed. @param {any} credential @param {string[]} types @param {string} issuer */
function checkClaim({ credentialSubject: subject }, types, issuer) {
  wrong(types.length === 1 && isObject(subject), 'one of our types alone, and one subject');
  const [type] = types;
  checkShape(`${CREDENTIALS.get(type)}#/properties/credentialSubject`, subject);
  wrong(subject.limits?.amount === undefined || subject.limits.currency !== undefined, 'an amount without its currency');
  wrong(!BY.has(type) || subject[/** @type {string} */ (BY.get(type))] === issuer, 'issued by another');
}
