/** Whether a DID and a web origin are tied by proof (page 02, section 2.15). */
import { check } from './errors.js';
import { digestOfBytes, jcs, moment } from './encoding.js';
import { keyFor } from './did.js';
import { readJson } from './json.js';
import { verify } from './keys.js';
import { checkMoments, onlyProof, verifyProof } from './proofs.js';
import { VC } from './presentation.js';

const CONFIGURATION = 'https://identity.foundation/.well-known/did-configuration/v1';
const MEMBERS = '@context,credentialSubject,issuer,type,validFrom,validUntil';
const CLAIMS = ['exp', 'iat', 'iss', 'jti', 'nbf', 'sub'];
const ALGORITHMS = { Ed25519: ['Ed25519', 'EdDSA'], 'P-256': ['ES256'], 'P-384': ['ES384'] };

/** @param {Uint8Array} bytes the file @param {{did: string, origin: string, now: number, resolver: import('./did.js').Resolver}} of */
export async function verifyLinkage(bytes, { did, origin, now, resolver }) {
  const file = /** @type {any} */ (readJson(bytes, { limit: 65536, depth: 64, foreign: true }));
  const strange = Object.keys(file).find((name) => !['@context', 'linked_dids'].includes(name));
  check(strange === undefined, 'unknown_term', strange);
  check(file['@context'] === CONFIGURATION, 'context_not_allowed', 'context');
  check(Array.isArray(file.linked_dids) && file.linked_dids.length > 0, 'schema_violation', 'linked_dids');
  check(file.linked_dids.length <= 16, 'too_large', 'linked_dids');
  const document = await resolver.resolve(did);
  const named = (document.service ?? []).filter((one) => [one?.type].flat().includes('LinkedDomains')).flatMap((one) => endpoints(one.serviceEndpoint));
  check(named.includes(origin), 'domain_not_linked', 'the DID names another');
  /** @type {any} */ let failed;
  for (const entry of file.linked_dids) {
    try {
      const found = await verifyEntry(entry, { did, origin, now, document });
      if (found) return found;
    } catch (error) { failed ??= error; }
  }
  check(failed === undefined, failed?.code, failed?.message);
  throw check(false, 'domain_not_linked', 'the origin names another');
}

/** @param {any} endpoint @returns {string[]} */
const endpoints = (endpoint) => (typeof endpoint === 'string' ? [endpoint] : Array.isArray(endpoint) ? endpoint.flatMap(endpoints) : endpoint?.origins ?? []);

/** @param {any} entry @param {{did: string, origin: string, now: number, document: any}} of @returns {Promise<any>} nothing if it speaks of somebody else */
async function verifyEntry(entry, { did, origin, now, document }) {
  const jwt = typeof entry === 'string' ? readJwt(entry) : undefined;
  if (typeof entry === 'string' && !jwt) return undefined;
  const whole = jwt ? jwt.payload : entry;
  if ((whole?.issuer?.id ?? whole?.issuer) !== did) return undefined;
  const validity = validityOf(whole);
  if (!validity) return undefined;
  const { proof: proofs, ...credential } = whole;
  const plain = jwt ? Object.fromEntries(Object.entries(credential).filter(([name]) => !CLAIMS.includes(name))) : credential;
  const exact = Object.keys(plain).sort().join() === MEMBERS && jcs(plain['@context']) === jcs([VC, CONFIGURATION])
    && jcs([...new Set([plain.type].flat())].sort()) === jcs(['DomainLinkageCredential', 'VerifiableCredential'])
    && jcs([plain.credentialSubject].flat()) === jcs([{ id: did, origin }]);
  const proof = jwt ? undefined : onlyProof(proofs);
  check(exact, 'domain_not_linked', 'credential');
  check(validity.every((at) => at !== undefined), 'domain_not_linked', 'validity');
  check(validity[0] <= now && now <= validity[1], 'policy_denied', 'validity');
  if (jwt) {
    const key = keyFor(document, jwt.header.kid, 'assertionMethod', now);
    check(ALGORITHMS[key.kind].includes(jwt.header.alg), 'suite_not_allowed', 'alg');
    check(verify(key, jwt.signature, Buffer.from(jwt.signed), { lowS: false }), 'proof_invalid', 'signature');
    return { credential: digestOfBytes(entry), signed: jwt.signed };
  }
  await verifyProof(credential, proof, { did: document, purpose: 'assertionMethod', now, lowS: false });
  checkMoments(proof, now);
  return { credential: digestOfBytes(jcs(whole)), document: credential, proof };
}

/** Both ends of the validity; nothing if one cannot be read. @param {any} credential @returns {any[] | undefined} */
function validityOf({ validFrom, validUntil }) {
  try {
    return [validFrom, validUntil].map((text) => (text === undefined ? undefined : moment(text)));
  } catch { return undefined; }
}

/** @param {string} text */
function readJwt(text) {
  const parts = text.split('.');
  try {
    const bytes = parts.map((part) => Buffer.from(part, 'base64url'));
    if (parts.length !== 3 || bytes.some((one, i) => one.toString('base64url') !== parts[i])) return undefined;
    const [header, payload] = bytes.slice(0, 2).map((one) => /** @type {any} */ (readJson(one, { depth: 64, foreign: true })));
    return { header, payload, signature: bytes[2], signed: `${parts[0]}.${parts[1]}` };
  } catch { return undefined; }
}
