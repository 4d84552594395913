/** The folder of a peer: its key, its organisation's, and the membership by which the one vouches for the other. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { CONTEXT, instant, newId } from './encoding.js';
import { keyOfDidKey } from './keys.js';
import { makeProof } from './proofs.js';
import { VC } from './presentation.js';

/** @typedef {{agent: string, organisation: string, credentials: any[]}} Home */

const didOf = (/** @type {import('./keys.js').PrivateKey} */ key) => key.method.split('#')[0];

/** @param {string} folder @returns {Promise<Home>} */
export async function createHome(folder, now = Math.floor(Date.now() / 1000)) {
  const [agent, organisation] = [randomBytes(32), randomBytes(32)];
  const [own, issuer] = [agent, organisation].map(keyOfDidKey);
  const credential = {
    '@context': [VC, CONTEXT], id: newId(), type: ['VerifiableCredential', 'MembershipCredential'], issuer: didOf(issuer),
    validFrom: instant(now - 60), validUntil: instant(now + 365 * 86400), credentialSubject: { id: didOf(own), memberOf: didOf(issuer) },
  };
  const proof = await makeProof(credential, issuer, { cryptosuite: 'eddsa-jcs-2022', proofPurpose: 'assertionMethod', created: instant(now - 60) });
  const home = { agent: agent.toString('hex'), organisation: organisation.toString('hex'), credentials: [{ ...credential, proof }] };
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, 'peer.json'), JSON.stringify(home, null, 1), { mode: 0o600, flag: 'wx' });
  return home;
}

/** @param {string} folder */
export function openHome(folder) {
  const home = /** @type {Home} */ (JSON.parse(readFileSync(join(folder, 'peer.json'), 'utf8')));
  const key = keyOfDidKey(Buffer.from(home.agent, 'hex'));
  return { key, credentials: home.credentials, did: didOf(key), organisation: didOf(keyOfDidKey(Buffer.from(home.organisation, 'hex'))) };
}
