/** Every document by which something was checked is stored with it (HIRE-KEY-06), and all of one party mean the same by a name (HIRE-KEY-08). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { CONTEXT, digest, instant } from '../src/encoding.js';
import { Resolver } from '../src/did.js';
import { keyOfDidKey, publicMultikey } from '../src/keys.js';
import { Engagement } from '../src/machine.js';
import { signMessage } from '../src/message.js';
import { makeProof, proofId } from '../src/proofs.js';
import { weigh } from '../src/receive.js';
import { acceptanceStatement } from '../src/statements.js';

const DID = 'did:web:hirer.example';
const provider = keyOfDidKey(Buffer.alloc(32, 9));
const key = { kind: /** @type {const} */ ('Ed25519'), secret: Buffer.alloc(32, 1), method: `${DID}#k` };
const NOW = 1_800_000_000;

/** @param {Record<string, number>} keys secrets by name */
function documentOf(keys) {
  const verificationMethod = Object.entries(keys).map(([name, byte]) => ({ id: `${DID}#${name}`, type: 'Multikey', controller: DID, publicKeyMultibase: publicMultikey({ kind: 'Ed25519', secret: Buffer.alloc(32, byte) }) }));
  const names = verificationMethod.map(({ id }) => id);
  return { id: DID, verificationMethod, authentication: names, assertionMethod: names };
}

/** An offer whose message is checked by one document, and its document by a fresher one. @param {any} kept @param {any} fresh */
async function weighed(kept, fresh) {
  const own = provider.method.split('#')[0];
  const content = { '@context': CONTEXT, id: 'x:hirer:1', hirer: DID, provider: own, methods: { hirer: [key.method], provider: [provider.method] } };
  const proof = await makeProof(content, key, { ...proofId(), cryptosuite: 'eddsa-jcs-2022', proofPurpose: 'assertionMethod', created: instant(NOW) });
  const offer = { type: 'Offer', version: '1.0', engagement: 'x', sender: DID, recipient: own, role: 'hirer', sequence: 1, document: { ...content, proof } };
  const engagement = new Engagement('provider');
  engagement.judge = () => /** @type {any} */ ({ outcome: 'applies' });
  engagement.commit = () => {};
  const resolver = new Resolver();
  const byName = resolver.resolve.bind(resolver);
  resolver.resolve = async (did, options) => (did === DID ? (options?.fresh ? fresh : kept) : byName(did, options));
  const found = await weigh(engagement, await signMessage(offer, key, 'eddsa-jcs-2022', NOW), { resolver, own, at: NOW });
  found.commit();
  return { found, engagement };
}

test('the fresher document that a contract needs is kept beside the one of its message', async () => {
  const [kept, fresh] = [documentOf({ k: 1 }), documentOf({ k: 1, next: 2 })];
  const { found, engagement } = await weighed(kept, fresh);
  assert.deepEqual([found.evidence, found.documents, engagement.documents], [kept, [fresh], [kept, fresh]]);
  assert.deepEqual((await weighed(kept, kept)).found.documents, []);
});

test('where it gives a name another key the offer is refused', async () => {
  await assert.rejects(weighed(documentOf({ k: 1, next: 2 }), documentOf({ k: 1, next: 3 })), { code: 'key_not_authorized' });
});

/** What takes a `Review` of one verifier, in a state with these members and beside these documents, and its verifier. */
function judging() {
  const [own, judge] = [provider.method.split('#')[0], keyOfDidKey(Buffer.alloc(32, 7))];
  const [verifier, contract] = [judge.method.split('#')[0], digest({ a: 'contract' })];
  const delivery = { engagement: 'x', artifacts: [], statements: [] };
  const statement = acceptanceStatement(delivery, { contract, document: 'x:hirer:1', verifier, passed: true, now: NOW }, judge);
  const review = { type: 'Review', version: '1.0', engagement: 'x', sender: DID, recipient: own, role: 'hirer', sequence: 2, verdict: 'accepted', statement };
  const resolver = new Resolver();
  const byName = resolver.resolve.bind(resolver);
  resolver.resolve = async (did, options) => (did === DID ? documentOf({ k: 1 }) : byName(did, options));
  const weighs = async (/** @type {any} */ state, /** @type {any[]} */ ...documents) => {
    const engagement = new Engagement('provider');
    engagement.judge = () => /** @type {any} */ ({ outcome: 'applies' });
    Object.assign(engagement, { documents, messages: { d: delivery }, state: { ...engagement.state, contract, delivery: { digest: 'd' }, terms: { evidence: { verifier } }, ...state } });
    return weigh(engagement, await signMessage(review, key, 'eddsa-jcs-2022', NOW), { resolver, own, at: NOW });
  };
  return { weighs, verifier };
}

test('a key that a party had before judges nothing, whoever lists it now', async () => {
  const { weighs } = judging();
  assert.equal((await weighs({})).outcome, 'applies');
  await assert.rejects(weighs({}, documentOf({ before: 7 })), { code: 'attester_not_trusted' }); // HIRE-ATT-06
});

test('a verdict that crossed our seal is by the verifier of before, and another by that of now', async () => {
  const { weighs, verifier } = judging();
  const were = (/** @type {string} */ role) => ({ ref: { role, sequence: 1 }, terms: { evidence: { verifier } } });
  for (const named of [keyOfDidKey(Buffer.alloc(32, 5)).method.split('#')[0], undefined]) {
    const terms = { evidence: { verifier: named } };
    assert.equal((await weighs({ terms, were: were('provider') })).outcome, 'applies');
    for (const seen of [{ terms }, { terms, were: were('hirer') }]) await assert.rejects(weighs(seen), { code: 'attester_not_trusted' });
  }
});
