/** Statements in DSSE envelopes: what was made, and the verdict on it (page 08, sections 8.1 to 8.3). */
import { createHash } from 'node:crypto';
import { check, HireError } from './errors.js';
import { digestOfBytes, hashOfDigest, instant, jcs } from './encoding.js';
import { assertionKeys, methodsOf, sameKey, signingKeys } from './did.js';
import { readJson } from './json.js';
import { sign, verify } from './keys.js';
import { ACCEPTANCE, BUILD, PROVENANCE, STATEMENT, WORK } from './predicates.js';
import { checkShape } from './schema.js';

const PAYLOAD = 'application/vnd.in-toto+json';
/** Characters of base64 that 128 KiB have. */
const ENVELOPED = 174766;
export { PROVENANCE, WORK };
const REFUSAL = 'https://w3id.org/hire/attestation/refusal/v1';
const LEVELS = /** @type {Record<string, string>} */ ({ PASSED: 'HIRE_ACCEPTED', FAILED: 'FAILED' });
const DIGESTS = /** @type {Record<string, number>} */ ({ sha256: 64, sha384: 96, sha512: 128 });

/** What is signed of a payload. */
export const pae = (/** @type {Uint8Array} */ payload, type = PAYLOAD) => Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `), payload]);
const hex = (/** @type {string} */ digest) => hashOfDigest(digest).toString('hex');
/** The digests of the payloads of what was delivered; what is no envelope has none. @param {any[]} statements @returns {string[]} */
const payloadHashes = (statements) => statements.map(({ payload }) => (typeof payload === 'string' ? bytesOf(payload) : undefined)).flatMap((bytes) => (bytes ? [createHash('sha256').update(bytes).digest('hex')] : []));
const subjects = (/** @type {any[]} */ artifacts) => artifacts.map(({ name, digest }) => ({ name, digest: { sha256: hex(digest) } }));

/** @param {any[]} artifacts @param {string} predicateType @param {any} predicate @param {import('./keys.js').PrivateKey} key */
function signed(artifacts, predicateType, predicate, key) {
  const payload = Buffer.from(jcs({ _type: STATEMENT, subject: subjects(artifacts), predicateType, predicate }));
  return { payload: payload.toString('base64'), payloadType: PAYLOAD, signatures: [{ keyid: key.method, sig: Buffer.from(sign(key, pae(payload))).toString('base64') }] };
}

/**
 * @param {any[]} artifacts of the `Delivery`
 * @param {{contract: string, engagement: string, provider: string, task: string, inputs: any[], actions: any[], actionsOmitted: number, usage: any[], startedOn: string, finishedOn: string}} work
 * @param {import('./keys.js').PrivateKey} key
 */
export function workStatement(artifacts, { inputs, ...work }, key) {
  const predicate = {
    ...work, inputs: inputs.map(({ name, digest }) => ({ name, digest })), policies: [], subcontracts: [],
  };
  return signed(artifacts, WORK, predicate, key);
}

/** @param {any[]} artifacts @param {any} work as above, with `round` @param {import('./keys.js').PrivateKey} key */
export function provenanceStatement(artifacts, { contract, engagement, provider, task, inputs, usage, startedOn, finishedOn, round }, key) {
  const clauses = [...new Set(usage.map((/** @type {any} */ one) => one.clause))].sort();
  const predicate = {
    buildDefinition: {
      buildType: BUILD, externalParameters: { contract, clauses, task },
      resolvedDependencies: inputs.map((/** @type {any} */ one) => ({ name: one.name, digest: { sha256: hex(one.digest) } })),
    },
    runDetails: { builder: { id: provider }, metadata: { invocationId: `${engagement}:${round}`, startedOn, finishedOn } },
  };
  return signed(artifacts, PROVENANCE, predicate, key);
}

/**
 * @param {any} delivery @param {{contract: string, document: string, verifier: string, passed: boolean, now: number}} of
 * @param {import('./keys.js').PrivateKey} key
 */
export function acceptanceStatement(delivery, { contract, document, verifier, passed, now }, key) {
  const predicate = {
    verifier: { id: verifier }, timeVerified: instant(now), resourceUri: document, policy: { uri: document, digest: { sha256: hex(contract) } },
    inputAttestations: payloadHashes(delivery.statements).map((sha256) => ({ digest: { sha256 } })),
    verificationResult: passed ? 'PASSED' : 'FAILED', verifiedLevels: [passed ? 'HIRE_ACCEPTED' : 'FAILED'],
  };
  return signed(judged(delivery, contract), ACCEPTANCE, predicate, key);
}

/** What is not printable ASCII is escaped, and what is long cut: whoever asks writes it. @param {string} text @param {number} most */
const plain = (text, most) => text.slice(0, most).replace(/[^ -~]/g, (char) => `\\u{${char.charCodeAt(0).toString(16)}}`).slice(0, most);
/** @param {Record<string, unknown>} given */
const pairs = (given) => Object.fromEntries(Object.keys(given).sort().slice(0, 16).map((name) => [plain(name, 64), plain(String(given[name]), 128)]));

/** What was asked in vain, whatever that was, as statements can hold it: no grant has bounded it. @param {string} action @param {string} target */
export const askedFor = (action, target) => ({ action: plain(action, 256) || '-', target: plain(target, 2048) || '-' });

/** What a gate said no to. @param {{contract: string, engagement: string, gate: string, at: string, action: string, target: string, amounts: any, facts: any, code: string, clause: string, reason: string, repeated?: number}} refusal @param {import('./keys.js').PrivateKey} key */
export function refusalStatement({ action, target, amounts, facts, reason, ...refusal }, key) {
  const predicate = { ...refusal, ...askedFor(action, target), amounts: pairs(amounts), facts: pairs(facts), reason: plain(reason, 2048) };
  return signed([{ name: 'contract', digest: refusal.contract }], REFUSAL, predicate, key);
}

/** Bytes of padded base64 in one of its two alphabets, in the one spelling that they have in it; undefined of anything else. @param {string} text @returns {Buffer | undefined} */
function bytesOf(text) {
  const bytes = Buffer.from(text, 'base64');
  const written = bytes.toString('base64');
  return [written, written.replaceAll('+', '-').replaceAll('/', '_')].includes(text) ? bytes : undefined;
}

/** @param {string} text @returns {Buffer} */
function base64(text) {
  const bytes = bytesOf(text);
  check(bytes !== undefined, 'schema_violation', 'base64');
  return /** @type {Buffer} */ (bytes);
}

/**
 * @param {any} envelope
 * @param {{document: import('./did.js').Document, earlier?: import('./did.js').Document[], now: number, methods?: string[], strangersTo?: import('./did.js').Document[]}} by whose statement
 *   it has to be, by which of its keys now, also by those of which earlier documents of its, and by none of whose keys
 * @returns {any} the statement, of the verified bytes
 */
function opened(envelope, { document, earlier = [], now, methods, strangersTo = [] }) {
  check(!(envelope?.payload?.length > ENVELOPED), 'too_large', 'payload');
  checkShape('Envelope', envelope);
  check(envelope.signatures.length > 0, 'proof_missing', 'envelope');
  const payload = base64(envelope.payload);
  const lists = [document, ...earlier];
  const keys = lists.flatMap((one) => assertionKeys(one, now, methods));
  const signers = keys.filter((key) => envelope.signatures.some((/** @type {any} */ one) => verify(key, base64(one.sig), pae(payload, envelope.payloadType))));
  const listed = lists.flatMap((one) => methodsOf(one, 'assertionMethod')).filter((one) => !methods || methods.includes(one));
  const byOthers = envelope.signatures.every((/** @type {any} */ one) => one.keyid && !listed.includes(one.keyid));
  check(signers.length > 0, byOthers ? 'attester_not_trusted' : 'proof_invalid', 'signature of a statement');
  check(envelope.signatures.length === 1, 'proof_invalid', 'more than one signature');
  const not = strangersTo.flatMap((one) => [...signingKeys(one).values()]);
  check(envelope.payloadType === PAYLOAD, 'proof_invalid', 'payload type');
  check(!signers.every((key) => not.some((one) => sameKey(one, key))), 'attester_not_trusted', 'a key of the one whose work it judges'); // HIRE-ATT-06
  const statement = /** @type {any} */ (readJson(payload, { limit: 131072, foreign: true }));
  check(!Array.isArray(statement?.subject) || statement.subject.length <= 64, 'too_large', 'subjects');
  checkShape('Statement', statement);
  return statement;
}

/** @param {any} statement @param {any[]} artifacts @param {(name: string) => Uint8Array | undefined} bytesOf */
function checkSubjects(statement, artifacts, bytesOf) {
  const names = statement.subject.map((/** @type {any} */ one) => one.name);
  check(new Set(names).size === names.length && names.length > 0, 'digest_mismatch', 'subjects');
  for (const { name, digest } of statement.subject) {
    const artifact = artifacts.find((one) => one.name === name);
    const known = Object.entries(digest).filter(([algorithm]) => Object.hasOwn(DIGESTS, algorithm));
    check(artifact !== undefined && Object.hasOwn(digest, 'sha256'), 'digest_mismatch', name);
    for (const [algorithm, value] of known) {
      const bytes = bytesOf(name);
      check(value.length === DIGESTS[algorithm] && /^[0-9a-f]+$/.test(value), 'digest_mismatch', `${name} ${algorithm}`);
      if (algorithm !== 'sha256' && bytes === undefined) continue; // nobody can check it: the artifact is known by its sha256 alone
      const right = algorithm === 'sha256' ? hex(artifact.digest) : createHash(algorithm).update(/** @type {Uint8Array} */ (bytes)).digest('hex');
      check(value === right, 'digest_mismatch', `${name} ${algorithm}`);
    }
  }
}

/** A statement has a subject: where nothing was delivered, a verdict is about the contract. @param {any} delivery @param {string} contract @returns {any[]} */
const judged = (delivery, contract) => (delivery.artifacts.length ? delivery.artifacts : [{ name: 'contract', digest: contract }]);

/**
 * The statement of a `Review`: about what was delivered, under this contract, and of the same verdict.
 * @param {any} review @param {Judged} of
 */
export function verifyReview(review, of) {
  check((verifyVerdict(review.statement, of) === 'PASSED') === (review.verdict === 'accepted'), 'terms_mismatch', 'verdict', '/statement');
}

/**
 * @typedef {{delivery: any, contract: string, verifier: string, document: import('./did.js').Document, earlier: import('./did.js').Document[], parties: import('./did.js').Document[], now: number}} Judged
 *   `earlier` documents of a hirer that judges itself count too (HIRE-ATT-02); `parties` may not judge
 * @param {any} envelope @param {Judged} of @returns {string} the result
 */
export function verifyVerdict(envelope, { delivery, contract, verifier, document, earlier, parties, now }) {
  const statement = opened(envelope, { document, earlier, now, strangersTo: parties });
  const artifacts = judged(delivery, contract);
  checkSubjects(statement, artifacts, () => undefined); // in the order of section 8.3
  const { predicate, predicateType } = statement;
  check(predicateType === ACCEPTANCE, 'attester_not_trusted', 'no acceptance', '/statement');
  checkShape('Verdict', predicate);
  const { resourceUri, policy, inputAttestations } = predicate;
  const names = [resourceUri, policy.uri ?? resourceUri];
  const result = predicate.verificationResult;
  const read = payloadHashes(delivery.statements);
  const hashes = inputAttestations.map((/** @type {any} */ one) => one.digest.sha256);
  check(jcs(predicate.verifiedLevels) === jcs([LEVELS[result]]), 'schema_violation', 'result and level', '/statement');
  check(predicate.verifier.id === verifier, 'attester_not_trusted', 'verifier', '/statement');
  check(policy.digest.sha256 === hex(contract), 'attestation_binding', 'contract', '/statement');
  check(names.every((name) => name.startsWith(`${delivery.engagement}:`)), 'attestation_binding', 'document', '/statement');
  check(hashes.every((hash) => read.includes(hash)), 'attestation_binding', 'statements', '/statement');
  const all = statement.subject.length === artifacts.length;
  check(result !== 'PASSED' || all, 'attestation_binding', 'of a part', '/statement');
  return result;
}

/** Two lists of usage are one if this is. @param {any[]} usage */
const usageLines = (usage) => jcs(usage.map(({ clause, unit, amount }) => jcs([clause, unit, amount])).sort());

/**
 * A delivery, checked in the order of section 8.3.
 * @param {any} delivery
 * @param {{contract: string, engagement: string, provider: string, document: import('./did.js').Document, methods: string[], terms: any, inputs: string[], now: number}} of `inputs`: what `Start` gave
 * @param {Map<string, Uint8Array>} bytes of the artifacts, by name @returns {string[]} the types of the statements
 */
export function verifyDelivery(delivery, { contract, engagement, provider, document, methods, terms, inputs, now }, bytes) {
  const { artifacts } = delivery;
  check(new Set(artifacts.map((/** @type {any} */ one) => one.name)).size === artifacts.length, 'digest_mismatch', 'a name twice');
  for (const { name, digest } of artifacts) check(bytes.has(name) && digestOfBytes(/** @type {Uint8Array} */ (bytes.get(name))) === digest, 'digest_mismatch', name);
  /** @type {Map<string, Set<string>>} */ const covered = new Map();
  /** @type {string[]} */ const types = [];
  for (const envelope of delivery.statements) {
    const statement = opened(envelope, { document, now, methods });
    checkSubjects(statement, artifacts, (name) => bytes.get(name));
    const { predicate, predicateType } = statement;
    if (predicateType === WORK) {
      checkShape('Work', predicate);
      check(predicate.startedOn <= predicate.finishedOn, 'schema_violation', 'finishedOn');
      check(predicate.provider === provider, 'attester_not_trusted', 'provider');
      check(predicate.contract === contract && predicate.engagement === engagement && predicate.task === terms.task.kind, 'attestation_binding', 'contract');
      check(predicate.inputs.every((/** @type {any} */ one) => inputs.includes(one.digest)), 'attestation_binding', 'inputs');
      check(usageLines(predicate.usage) === usageLines(delivery.usage), 'attestation_binding', 'usage');
    } else if (predicateType === PROVENANCE) {
      checkShape('Provenance', predicate);
      check(predicate.runDetails.builder.id === provider, 'attester_not_trusted', 'builder');
      const told = predicate.buildDefinition.externalParameters;
      check(told.contract === contract && told.task === terms.task.kind, 'attestation_binding', 'contract');
    } else throw new HireError('attester_not_trusted', 'a predicate that is not known');
    types.push(predicateType);
    covered.set(predicateType, new Set([...(covered.get(predicateType) ?? []), ...statement.subject.map((/** @type {any} */ one) => one.name)]));
  }
  const { predicates } = terms.evidence;
  const complete = (predicates.length ? predicates : [WORK]).every((/** @type {string} */ type) => artifacts.every((/** @type {any} */ one) => covered.get(type)?.has(one.name)));
  check(complete, 'digest_mismatch', 'a statement that the terms demand');
  return types;
}
