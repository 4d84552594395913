/** The document of a contract, its proofs, and a sealed contract that verifies alone (page 07, sections 7.1 to 7.4). */
import { check } from './errors.js';
import { digest, moment } from './encoding.js';
import { checkDocumentShape, checkMessageShape, checkShape } from './schema.js';
import { checkProofShape, verifyProof } from './proofs.js';
import { purposeOf } from './message.js';

/** @typedef {import('./did.js').Resolver} Resolver */

export const other = (/** @type {string} */ role) => (role === 'hirer' ? 'provider' : 'hirer');
/** What both sign. */
const DOCUMENTS = new Set(['Contract', 'Amendment', 'Release']);
const proofsOf = (/** @type {any} */ document) => (Array.isArray(document.proof) ? document.proof : [document.proof]);

/** Who the document is between, and who may not stand in for whom in it. @param {any} document */
function checkParties({ hirer, provider, methods, terms }) {
  check(hirer !== provider, 'self_dealing', 'one party');
  check(!methods.hirer.some((/** @type {string} */ method) => methods.provider.includes(method)), 'self_dealing', 'a method of both');
  for (const [role, did] of [['hirer', hirer], ['provider', provider]]) check(methods[role].every((/** @type {string} */ one) => one.split('#')[0] === did), 'schema_violation', 'a method of another', `/document/methods/${role}`);
  check(!terms || (terms.arbiter !== hirer && terms.arbiter !== provider), 'schema_violation', 'arbiter', '/document/terms/arbiter');
  check(!terms || ![hirer, provider].includes(terms.evidence.verifier), 'schema_violation', 'verifier', '/document/terms/evidence/verifier');
}

/**
 * The offerer's proof on a document that is on the table: exactly one.
 * @param {any} document @param {string} sender role @param {Resolver} resolver @param {string[]} [suites] @param {number} [now]
 * @param {boolean} [recorded] as for `verifyPartyProof`
 */
export async function verifyOffered(document, sender, resolver, suites, now, recorded) {
  checkDocumentShape(document, '/document'); // of an offer that is void nobody reads the terms (HIRE-CTR-12)
  checkParties(document);
  const { proof, ...rest } = document;
  check(proof !== undefined, 'proof_missing', 'document', '/document/proof');
  check(!Array.isArray(proof), 'proof_invalid', 'exactly one proof', '/document/proof');
  checkProofShape(proof, { suites });
  check(typeof proof.id === 'string' && /^urn:uuid:/.test(proof.id) && proof.previousProof === undefined, 'proof_invalid', 'id of the proof', '/document/proof');
  await verifyPartyProof(rest, proof, document, sender, resolver, suites, now, recorded);
}

/**
 * @param {any} signed @param {any} proof @param {any} document @param {string} role @param {Resolver} resolver @param {string[]} [suites] @param {number} [now]
 * @param {boolean} [recorded] by others, who held it against the time that was then (HIRE-CTR-10)
 */
async function verifyPartyProof(signed, proof, document, role, resolver, suites, now, recorded = false) {
  check(proof.expires === undefined, 'unknown_term', 'a proof that expires');
  check(document.methods[role].includes(proof.verificationMethod), 'proof_invalid', 'a method that the document does not list');
  const made = proof.created === undefined ? -Infinity : moment(proof.created); // HIRE-PRF-08 leaves it out
  check(now === undefined || recorded || made <= now + 60, 'proof_from_future', proof.created);
  await verifyProof(signed, proof, { did: await resolver.resolve(document[role], { fresh: true, method: proof.verificationMethod, relationship: 'assertionMethod' }), purpose: 'assertionMethod', now, suites });
}

/** @param {any} offered document with the offerer's proof @returns {any} what the acceptor's proof covers */
export const covered = (offered) => ({ ...offered, proof: [proofsOf(offered)[0]] });

/** The document with both proofs, as it is hashed for a leaf. @param {any} offered @param {any} proof the acceptor's */
export const countersigned = (offered, proof) => ({ ...offered, proof: [proofsOf(offered)[0], proof] });

/** @param {any} offered document with the offerer's proof @param {any} proof @param {string} acceptor role @param {Resolver} resolver @param {string[]} [suites] @param {number} [now] @param {boolean} [recorded] */
export async function verifyAccepted(offered, proof, acceptor, resolver, suites, now, recorded) {
  checkProofShape(proof, { suites });
  const [{ id }] = proofsOf(offered);
  const before = [proof.previousProof].flat(); // one, or a list of it alone (page 07, section 7.3)
  check(before.length === 1 && before[0] === id && proof.id !== id, 'proof_invalid', 'previousProof, or id of the proof');
  await verifyPartyProof(covered(offered), proof, offered, acceptor, resolver, suites, now, recorded);
}

/** A document by itself, before its proofs are looked at. @param {any} document */
export function checkDocument(document) {
  check(DOCUMENTS.has(document.type), 'schema_violation', 'type', '/type');
  checkShape(document.type, document);
  checkDocumentShape(document);
  checkParties(document);
}

/**
 * A contract, amendment or release that verifies without anything else but DID documents.
 * @param {{document: any, acceptance: any, seal: any}} sealed @param {Resolver} resolver @param {number} [now] without it a key that states its end is refused
 * @returns {Promise<{document: string, acceptance: string, seal: string, offerer: string}>}
 */
export async function verifySealed({ document, acceptance, seal }, resolver, now) {
  checkDocument(document);
  checkMessageShape(acceptance);
  checkMessageShape(seal);
  const proofs = proofsOf(document);
  check(document.proof !== undefined, 'proof_missing', 'document', '/document/proof');
  check(Array.isArray(document.proof) && proofs.length === 2, 'proof_invalid', 'two proofs');
  const offerer = document.id.split(':').at(-2);
  const { proof, ...rest } = document;
  const offered = { ...rest, proof: proofs[0] };
  await verifyOffered(offered, offerer, resolver, undefined, now, true);
  await verifyAccepted(offered, proofs[1], other(offerer), resolver, undefined, now, true);
  const [name, accepted] = [digest(document), digest(acceptance)];
  const same = JSON.stringify(sorted(acceptance.contractProof)) === JSON.stringify(sorted(proofs[1]));
  await verifyMove(acceptance, 'Acceptance', document, other(offerer), acceptance.document === name && same, resolver, now);
  const binds = seal.acceptance === accepted && seal.document === name && seal.offer === acceptance.offer;
  await verifyMove(seal, 'Seal', document, offerer, binds, resolver, now);
  const next = Number(document.id.split(':').at(-1)) + 1;
  const adjoin = acceptance.seen === acceptance.offer && seal.seen === accepted && seal.previous === acceptance.offer && seal.sequence === next;
  check(document.type !== 'Contract' || adjoin, 'terms_mismatch', 'a move between'); // of a change others may stand between (HIRE-LAN-07)
  return { document: name, acceptance: accepted, seal: digest(seal), offerer };
}

const sorted = (/** @type {any} */ one) => Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)));

/** @param {any} move @param {string} type @param {any} document @param {string} role of its sender @param {boolean} binds @param {Resolver} resolver @param {number} [now] */
async function verifyMove(move, type, document, role, binds, resolver, now) {
  const { proof, ...rest } = move;
  check(move.type === type, 'terms_mismatch', type);
  check(move.engagement === document.engagement, 'wrong_negotiation', type);
  check(move.role === role && move.sender === document[role] && move.recipient === document[other(role)], 'wrong_party', type);
  check(binds, 'terms_mismatch', 'acceptance and seal'); // what costs least comes first
  check(proof.created <= proof.expires, 'proof_invalid', 'expires before created');
  const purpose = purposeOf(type);
  await verifyProof(rest, proof, { did: await resolver.resolve(move.sender, { fresh: true, method: proof.verificationMethod, relationship: purpose }), purpose, now });
}
