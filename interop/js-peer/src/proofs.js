/** Data Integrity proofs in the two forms, JCS and RDFC (page 04, section 4.5). */
import jsonld from 'jsonld';
import { contexts } from '@digitalbazaar/credentials-context';
import { check, HireError } from './errors.js';
import { CONTEXT, fromBase58, hash, instant, isObject, jcs, moment, newId, seconds, toBase58 } from './encoding.js';
import { SUITES, sign, verify } from './keys.js';
import { keyFor } from './did.js';
import { canonical } from './labels.js';
import { hireContext, published } from './spec.js';

const MEMBERS = new Set(['type', '@context', 'id', 'cryptosuite', 'created', 'expires', 'verificationMethod', 'proofPurpose', 'proofValue', 'previousProof', 'challenge', 'domain', 'nonce']);
const W3C = ['https://www.w3.org/ns/credentials/v2', 'https://www.w3.org/ns/credentials/undefined-terms/v2'];
const LISTED = new Set([CONTEXT, ...Object.keys(published)]);

/** A credential or presentation rests on contexts that the specification lists, in every suite (HIRE-CRD-10). @param {any} document */
export function checkContexts(document) {
  const contexts = document['@context'];
  check(Array.isArray(contexts) && contexts[0] === W3C[0] && contexts.every((url) => LISTED.has(url)), 'context_not_allowed', 'contexts', '/@context');
}
/** That of a file that ties DIDs to its origin: known to the RDF suites, and not listed for what is shown (section 2.15). */
export const DID_CONFIGURATION = 'https://identity.foundation/.well-known/did-configuration/v1';
const LINKED = Object.fromEntries(['LinkedDomains', 'DomainLinkageCredential', 'origin', 'linked_dids']
  .map((term) => [term, `https://identity.foundation/.well-known/resources/did-configuration/#${term}`]));
const CONTEXTS = new Map([...Object.entries(published), [CONTEXT, hireContext], [DID_CONFIGURATION, { '@context': { '@version': 1.1, '@protected': true, ...LINKED } }], ...W3C.map((iri) => /** @type {[string, any]} */ ([iri, contexts.get(iri)]))]);

/** @param {string} url */
async function documentLoader(url) {
  const document = CONTEXTS.get(url);
  if (!document) throw new HireError('context_not_allowed', url);
  return { contextUrl: null, documentUrl: url, document, tag: 'static' }; // the library keeps what it made of one that never changes
}

const TYPE = 'http://www.w3.org/1999/02/22-rdf-syntax-ns#type';
const DOUBLE = 'http://www.w3.org/2001/XMLSchema#double';
const JSON_LITERAL = 'http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON';
/** A member that the library loses, as it sets a prototype by it; and a name that no JSON here can have, under which it gets through. */
const [PROTO, STAND_IN] = ['__proto__', '\0proto'];
const SIGNATURE = 200;
/** An IRI (RFC 3987) with its scheme: what is none, or is relative, RDF has no place for. */
const IRI = (() => {
  const name = "(?:[-\\w.~!$&'()*+,;=\\u{A0}-\\u{D7FF}\\u{F900}-\\u{FDCF}\\u{FDF0}-\\u{FFEF}\\u{10000}-\\u{DFFFD}\\u{E1000}-\\u{EFFFD}]|%[0-9A-Fa-f]{2})";
  const character = `(?:${name}|[:@])`;
  const authority = `(?:(?:${name}|:)*@)?(?:\\[[0-9A-Fa-f:.]+\\]|${name}*)(?::[0-9]*)?`;
  const path = `(?://${authority}(?:/${character}*)*|/?(?:${character}+(?:/${character}*)*)?)`;
  return new RegExp(`^[A-Za-z][A-Za-z0-9+.-]*:${path}(?:\\?(?:${character}|[/?\\u{E000}-\\u{F8FF}\\u{F0000}-\\u{10FFFD}])*)?(?:#(?:${character}|[/?])*)?$`, 'u');
})();

/** @param {any} document @param {'sha256' | 'sha384'} algorithm @returns {Promise<string>} canonical N-Quads */
async function rdfc(document, algorithm) {
  try {
    const options = { safe: true, documentLoader, rdfDirection: null };
    const found = await jsonld.expand(renamed(document, PROTO, STAND_IN), options);
    // those in JSON literals are still there
    check(droppable(document) === droppable(found), 'schema_violation', 'null, or an empty array');
    const expanded = namedAgain(found);
    expanded.forEach(keepWhole);
    const quads = /** @type {any[]} */ (await jsonld.toRDF(expanded, { ...options, skipExpansion: true }));
    const isName = (/** @type {any} */ term) => term?.termType !== 'NamedNode' || IRI.test(term.value);
    for (const { subject, predicate, object, graph } of quads) {
      check(predicate.value !== TYPE || isName(object), 'unknown_term', 'a type that is no IRI');
      check([subject, predicate, object, object.datatype, graph].every(isName), 'schema_violation', 'no IRI');
    }
    return await canonical(quads, algorithm);
  } catch (error) {
    if (error instanceof HireError) throw error;
    const { message, details } = /** @type {any} */ (error);
    throw new HireError(['invalid property', 'relative @type reference'].includes(details?.event?.code) ? 'unknown_term' : 'schema_violation', String(message ?? error));
  }
}

/** A copy with another name for each member of this one. @param {any} value @param {string} from @param {string} to @returns {any} */
function renamed(value, from, to) {
  if (Array.isArray(value)) return value.map((one) => renamed(one, from, to));
  return isObject(value) ? Object.fromEntries(Object.entries(value).map(([name, one]) => [name === from ? to : name, renamed(one, from, to)])) : value;
}

/** An expanded document with the names that stood for others; a JSON literal that has one is written here, for the library would lose it again. @param {any} value @returns {any} */
function namedAgain(value) {
  if (Array.isArray(value)) return value.map(namedAgain);
  if (!isObject(value)) return value;
  if (value['@type'] !== '@json') return Object.fromEntries(Object.entries(value).map(([name, one]) => [name.replace(STAND_IN, PROTO), namedAgain(one)]));
  const text = jcs(renamed(value['@value'], STAND_IN, PROTO));
  return text.includes(`"${PROTO}":`) ? { '@value': text, '@type': JSON_LITERAL } : value;
}

/** How much of it may leave no trace in an expanded document: a null, and an empty array within another, or of types. @param {any} value @returns {number} */
function droppable(value) {
  if (value === null || (Array.isArray(value) && value.length === 0)) return 1;
  return typeof value === 'object' ? Object.values(value).reduce((sum, one) => sum + droppable(one), 0) : 0;
}

/** A fraction as RDF has it, `%1.15E` without the zeros behind: of two texts as near as each other the even one. @param {number} value */
function fraction(value) {
  const [even] = /^-?[0-9]\.[0-9]{14}[02468](?=50*e)/.exec(value.toExponential(100)) ?? [];
  const text = value.toExponential(15);
  return (even ? even + text.slice(text.indexOf('e')) : text).replace(/([0-9])0*e\+?/, '$1E');
}

/**
 * What RDF would lose is refused (HIRE-LD-06): with it, two documents would have one signature. Two nodes without a name are two. Fractions are written here, for the
 * library loses those that JavaScript writes without a point. @param {any} value of an expanded document
 */
function keepWhole(value) {
  const { '@value': said, '@type': type } = isObject(value) ? value : {};
  check(typeof said !== 'string' || type !== DOUBLE, 'schema_violation', 'a number written as text');
  if (typeof said === 'number' && type !== '@json') {
    check(Math.abs(said) <= Number.MAX_SAFE_INTEGER, 'number_out_of_range', 'an integer that not every reader keeps');
    if (!Number.isInteger(said)) Object.assign(value, { '@value': fraction(said), '@type': type ?? DOUBLE });
  }
  for (const [name, inner] of Object.entries(isObject(value) ? value : {})) {
    if (!Array.isArray(inner) || name === '@value') continue;
    check(inner.length > 0 || name === '@list', 'schema_violation', `an empty array in ${name}`);
    inner.forEach(keepWhole);
    const named = inner.filter((one) => !isObject(one) || '@value' in one || '@id' in one).map((one) => jcs(one['@id'] ?? one));
    check(name === '@list' || new Set(named).size === named.length, 'schema_violation', `a repeated value of ${name}`);
  }
}

/**
 * What a proof signs, step by step.
 * @param {any} document without the proof that is meant @param {any} proof
 * @param {'sha256' | 'sha384'} algorithm
 */
export async function steps(document, proof, algorithm) {
  const { proofValue, ...config } = proof;
  const jcsSuite = proof.cryptosuite.includes('-jcs-');
  const form = jcsSuite ? async (/** @type {any} */ value) => jcs(value) : (/** @type {any} */ value) => rdfc(value, algorithm);
  const documentForm = await form(document);
  const proofConfigForm = await form(jcsSuite ? config : { ...config, '@context': document['@context'] });
  const documentHash = hash(documentForm, algorithm);
  const proofConfigHash = hash(proofConfigForm, algorithm);
  return { documentForm, proofConfigForm, documentHash, proofConfigHash, signed: Buffer.concat([proofConfigHash, documentHash]) };
}

const algorithmOf = (/** @type {string} */ kind) => (kind === 'P-384' ? 'sha384' : 'sha256');

/**
 * @param {any} document without the proof @param {import('./keys.js').PrivateKey} key
 * @param {Record<string, any>} options `cryptosuite`, `proofPurpose`, and others that the proof shall have
 * @returns {Promise<any>} the proof
 */
export async function makeProof(document, key, options) {
  const proof = { type: 'DataIntegrityProof', ...options, verificationMethod: key.method };
  if (options.cryptosuite.includes('-jcs-')) proof['@context'] = document['@context'];
  const { signed } = await steps(document, proof, algorithmOf(key.kind));
  return { ...proof, proofValue: toBase58(sign(key, signed)) };
}

/** What each proof needs before its signature is worth looking at. @param {any} proof */
export function checkProofShape(proof, { suites = Object.keys(SUITES) } = {}) {
  check(isObject(proof) && Object.keys(proof).length > 0, 'proof_missing', 'no proof');
  check(proof.type === 'DataIntegrityProof' && 'cryptosuite' in proof, 'suite_not_allowed', 'another type of proof');
  for (const [name, value] of Object.entries(proof)) {
    check(MEMBERS.has(name), 'unknown_term', `member ${name} of a proof`);
    const texts = name === 'previousProof' && Array.isArray(value) ? value : [value];
    check(name === '@context' || (texts.length > 0 && texts.every((text) => typeof text === 'string' && text !== '')), 'schema_violation', `${name} of a proof`);
  }
  check(['verificationMethod', 'proofPurpose', 'proofValue'].every((name) => name in proof), 'schema_violation', 'members of a proof');
  check(suites.includes(proof.cryptosuite) && SUITES[proof.cryptosuite] !== undefined, 'suite_not_allowed', proof.cryptosuite);
}

/**
 * Verifies one proof and gives its key.
 * @param {any} document without this proof @param {any} proof
 * @param {{did: import('./did.js').Document, purpose: 'authentication' | 'assertionMethod', now?: number, suites?: string[], challenge?: string, domain?: string, foreign?: boolean}} by
 *   `foreign`: of others, whose suites let them leave out the context and write either value of `s` (HIRE-PRF-08, HIRE-KEY-02)
 */
export async function verifyProof(document, proof, { did, purpose, now, suites, challenge, domain, foreign = false }) {
  checkProofShape(proof, { suites });
  check(proof.proofPurpose === purpose, 'proof_purpose_mismatch', proof.proofPurpose);
  check(proof.challenge === challenge && proof.domain === domain, 'challenge_mismatch', 'an answer to another question, or to somebody else');
  check(proof.verificationMethod.split('#')[0] === did.id, 'key_not_authorized', 'method of another');
  const key = keyFor(did, proof.verificationMethod, purpose, now);
  check(SUITES[proof.cryptosuite].includes(key.kind), 'suite_not_allowed', `${proof.cryptosuite} with ${key.kind}`);
  const jcsSuite = proof.cryptosuite.includes('-jcs-');
  const repeated = jcsSuite ? jcs(proof['@context'] ?? null) === jcs(document['@context']) : !('@context' in proof);
  check(repeated || (jcsSuite && foreign && !('@context' in proof)), 'proof_invalid', 'context of the proof');
  check(proof.proofValue.length <= SIGNATURE, 'proof_invalid', 'proofValue'); // to read base58 takes more than linear time
  let signature;
  try { signature = fromBase58(proof.proofValue); } catch { throw new HireError('proof_invalid', 'proofValue'); }
  const { signed } = await steps(document, proof, algorithmOf(key.kind));
  check(verify(key, signature, signed, { lowS: !foreign }), 'proof_invalid', 'signature');
  return key;
}

/**
 * Verifies the one proof of a credential, presentation or list, which may be the only one in a list, and whose times may be finer or missing.
 * @param {any} document with its proof @param {{did: import('./did.js').Document, purpose: 'authentication' | 'assertionMethod', now: number, challenge?: string, domain?: string, foreign?: boolean, lasting?: boolean}} by
 *   `lasting`: its times are held against no clock
 */
export async function verifyAlone({ proof: proofs, ...document }, by) {
  const [proof, ...more] = Array.isArray(proofs) ? proofs : [proofs];
  check(more.length === 0, 'proof_invalid', 'one proof');
  checkProofShape(proof);
  check(proof.previousProof === undefined, 'proof_invalid', 'builds on a proof that is not there');
  checkMoments(proof, by.lasting ? undefined : by.now);
  await verifyProof(document, proof, by);
}

/** @param {any} proof @param {number} [now] */
function checkMoments({ created, expires }, now) {
  const [from, until] = [created, expires].map((text) => (text === undefined ? undefined : moment(text)));
  check(from === undefined || until === undefined || from <= until, 'proof_invalid', 'expires before created');
  if (now === undefined) return;
  check(from === undefined || from <= now + 60, 'proof_from_future', created);
  check(until === undefined || now <= until, 'proof_expired', expires);
}

/** @param {any} proof @param {number} now */
export function checkTimes(proof, now, { lifetime = 86400 } = {}) {
  const [created, expires] = [seconds(proof.created), seconds(proof.expires)];
  check(expires >= created, 'proof_invalid', 'expires before created');
  check(expires - created <= lifetime, 'proof_expired', 'lives too long');
  check(created <= now + 60, 'proof_from_future', proof.created);
  check(now <= expires, 'proof_expired', proof.expires);
}

/** Times of a new proof. @param {number} now @param {number} [life] seconds */
export const times = (now, life = 3600) => ({ created: instant(now), expires: instant(now + life) });
export const proofId = () => ({ id: newId() });
