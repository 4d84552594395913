/** A sealed contract that verifies alone, of which everything is signed by whom it says (page 07, section 7.4). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { covered, verifyAccepted, verifyOffered, verifySealed } from '../src/contract.js';
import { Resolver } from '../src/did.js';
import { digest, seconds } from '../src/encoding.js';
import { keyOfDidKey } from '../src/keys.js';
import { signAgain } from '../src/message.js';
import { makeProof } from '../src/proofs.js';
import { verifyParents } from '../src/parents.js';
import { SPEC } from '../src/spec.js';

const read = (/** @type {string} */ file) => JSON.parse(readFileSync(`${SPEC}/vectors/contracts/jcs-sealed/${file}`, 'utf8'));
const [given, { keys }] = [read('input.json'), read('case.json')];
const resolver = new Resolver();

/** A move of it that says something else. @param {any} move @param {any} other */
function again(move, other) {
  const { seed } = keys.find((/** @type {any} */ one) => one.method.startsWith(`${move.sender}#`));
  return signAgain({ ...move, ...other }, keyOfDidKey(Buffer.from(seed, 'hex')), 'eddsa-jcs-2022', seconds(move.proof.created));
}

/** The same contract whose acceptance or seal says something else. @param {any} accepts @param {any} seals */
async function changed(accepts, seals) {
  const acceptance = await again(given.acceptance, accepts);
  const named = digest(acceptance);
  return { ...given, acceptance, seal: await again(given.seal, { acceptance: named, seen: named, ...seals }) };
}

test('its moves are between its parties, in their roles and in its engagement (HIRE-CTR-10)', async () => {
  const { engagement } = given.document;
  const [sealing, accepting] = [given.seal, given.acceptance];
  const another = `${engagement.slice(0, -3)}AAA`;
  for (const [accepts, seals, code] of /** @type {any[]} */ ([
    [{}, { recipient: sealing.sender }, 'wrong_party'], [{}, { role: accepting.role }, 'wrong_party'], [{}, { engagement: another }, 'wrong_negotiation'],
    [{ recipient: accepting.sender }, {}, 'wrong_party'], [{ role: sealing.role }, {}, 'wrong_party'], [{ engagement: another }, {}, 'wrong_negotiation'],
  ])) await assert.rejects(verifySealed(await changed(accepts, seals), resolver), { code }, JSON.stringify([accepts, seals]));
  await verifySealed(await changed({}, {}), resolver);
});

test('what is no document of a contract is none, and none without terms stands above another (page 16, section 16.1)', async () => {
  for (const type of [7, 'x:', 'Withdraw', undefined]) await assert.rejects(verifySealed({ ...given, document: { ...given.document, type } }, resolver), { code: 'schema_violation', path: '/type' });
  const release = { ...given.document, type: 'Release', terms: undefined };
  await assert.rejects(verifyParents({ ...given.document, parent: digest(release), hirer: release.provider }, [{ ...given, document: release }], resolver), { code: 'schema_violation' });
});

test('whoever recorded a contract held its proofs against the time, and who is shown it does not (HIRE-CTR-10)', async () => {
  const before = seconds(given.seal.proof.created) - 86400;
  const { proof: [first], ...document } = given.document;
  await verifySealed(given, resolver, before);
  await assert.rejects(verifyOffered({ ...document, proof: first }, document.id.split(':').at(-2), resolver, undefined, before), { code: 'proof_from_future' });
});

test('a proof on a document may leave out when it was made, and name the one before it in a list (page 07, section 7.3; HIRE-PRF-08)', async () => {
  const { proof: [first, second], ...document } = given.document;
  const now = seconds(given.seal.proof.created);
  const by = (/** @type {any} */ signed, /** @type {any} */ proof, /** @type {any} */ other) => {
    const { proofValue, verificationMethod, ...options } = { ...proof, ...other };
    const { seed } = keys.find((/** @type {any} */ one) => one.method === verificationMethod);
    if (options.created === undefined) delete options.created;
    return makeProof(signed, keyOfDidKey(Buffer.from(seed, 'hex')), options);
  };
  const [offerer] = document.id.split(':').slice(-2);
  const acceptor = offerer === 'hirer' ? 'provider' : 'hirer';
  const offers = async (/** @type {any} */ other) => ({ ...document, proof: await by(document, first, other) });
  const offered = await offers({});
  const accepts = (/** @type {any} */ other) => by(covered(offered), second, other).then((proof) => verifyAccepted(offered, proof, acceptor, resolver, undefined, now));
  for (const other of [{ created: undefined }, { created: '2026-11-24T09:00:00+01:00' }, { created: first.created }]) {
    await verifyOffered(await offers(other), offerer, resolver, undefined, now);
    await accepts(other);
  }
  await accepts({ previousProof: [first.id] });
  for (const [other, code] of /** @type {any[]} */ ([[{ previousProof: [first.id, first.id] }, 'proof_invalid'], [{ id: first.id }, 'proof_invalid'], [{ created: 'soon' }, 'schema_violation'], [{ created: '2999-11-24T09:00:00Z' }, 'proof_from_future'], [{ previousProof: [first.id, 'urn:uuid:x'] }, 'proof_invalid']])) {
    await assert.rejects(accepts(other), { code }, JSON.stringify(other));
  }
});
