/** Whether a DID and a web origin are tied by proof (page 02, section 2.15). */
import { check } from './errors.js';
import { readCredential, verifyIssued } from './credential.js';
import { digestOfBytes, isObject, jcs } from './encoding.js';
import { keyFor } from './did.js';
import { readJson } from './json.js';
import { verify } from './keys.js';
import { DID_CONFIGURATION, checkContexts } from './proofs.js';
import { checkShape } from './schema.js';
import { VC } from './presentation.js';

const MEMBERS = '@context,credentialSubject,issuer,type,validFrom,validUntil';
const METHOD = 'Inquiry#/$defs/Proof/properties/verificationMethod';
const HEADER = ['alg', 'cty', 'kid', 'typ'];
const CLAIMS = ['exp', 'iat', 'iss', 'nbf', 'sub'];
const ALGORITHMS = { Ed25519: ['Ed25519', 'EdDSA'], 'P-256': ['ES256'], 'P-384': ['ES384'] };
const ORIGIN = /^https:\/\/[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+(?::(?!443$)[1-9][0-9]{0,4})?$/;
const LOCAL = /^http:\/\/localhost:[1-9][0-9]{0,4}$/;

/** @param {Uint8Array} bytes the file @param {{did: string, origin: string, now: number, resolver: import('./did.js').Resolver}} of */
export async function verifyLinkage(bytes, { did, origin, now, resolver }) {
  const file = /** @type {any} */ (readJson(bytes, { limit: 65536, foreign: true }));
  check(file['@context'] === DID_CONFIGURATION, 'schema_violation', 'context');
  const strange = Object.keys(file).find((name) => !['@context', 'linked_dids'].includes(name));
  check(strange === undefined, 'unknown_term', strange);
  check(Array.isArray(file.linked_dids) && file.linked_dids.length > 0, 'schema_violation', 'linked_dids');
  check(file.linked_dids.length <= 16, 'too_large', 'linked_dids');
  check(ORIGIN.test(origin) || (resolver.local && LOCAL.test(origin)), 'domain_not_linked', 'no origin');
  const document = await resolver.resolve(did);
  const named = (document.service ?? []).filter((one) => [one?.type].flat().includes('LinkedDomains')).flatMap((one) => endpoints(one.serviceEndpoint));
  check(named.includes(origin), 'domain_not_linked', 'the DID names another');
  /** @type {any} */ let failed;
  for (const entry of file.linked_dids) {
    try {
      const found = await verifyEntry(entry, { did, origin, now, document });
      if (found) return found;
    } catch (error) { failed = error; }
  }
  check(failed === undefined, failed?.code, failed?.message);
  throw check(false, 'domain_not_linked', 'the origin names another');
}

/** @param {any} endpoint @returns {string[]} */
const endpoints = (endpoint) => [endpoint].flat().flatMap((one) => (isObject(one) ? one.origins : [one]));

/** @param {any} entry @param {{did: string, origin: string, now: number, document: any}} of @returns {Promise<any>} nothing if it cannot be read, or speaks of somebody else */
async function verifyEntry(entry, { did, origin, now, document }) {
  const jwt = typeof entry === 'string' ? readJwt(entry, did) : undefined;
  const whole = jwt ? jwt.payload : entry;
  const read = isObject(whole) ? readable(whole) : undefined;
  if (read?.issuer !== did) return undefined;
  const { proof, ...credential } = whole;
  const said = jwt ? Object.keys(whole).filter((name) => !CLAIMS.includes(name)) : Object.keys(credential);
  const exact = said.sort().join() === MEMBERS && whole['@context'].includes(DID_CONFIGURATION)
    && read.types.join() === 'DomainLinkageCredential' && jcs(read.subjects) === jcs([{ id: did, origin }]);
  check(exact, 'domain_not_linked', 'credential');
  if (!jwt) {
    await verifyIssued(whole, read, { resolve: async () => document }, now);
    return { credential: digestOfBytes(jcs(whole)), document: credential, proof: [proof].flat()[0] };
  }
  const { nbf = -Infinity, exp = Infinity, iat = now } = whole;
  check(iat <= now + 60, 'proof_from_future', 'iat');
  const key = keyFor(document, jwt.header.kid, 'assertionMethod', now);
  check(ALGORITHMS[key.kind].includes(jwt.header.alg), 'suite_not_allowed', 'alg');
  check(verify(key, jwt.signature, Buffer.from(jwt.signed), { lowS: false }), 'proof_invalid', 'signature');
  const { begins = -Infinity, ends = Infinity } = read;
  check(Math.max(begins, nbf) <= now && now <= Math.min(ends, exp - 1), 'policy_denied', 'validity');
  return { credential: digestOfBytes(entry), signed: jwt.signed };
}

/** What a credential says; nothing if it cannot be read. @param {any} credential */
function readable(credential) {
  try { return readCredential(credential, checkLinkageContexts); } catch { return undefined; }
}

/** @param {any} credential */
function checkLinkageContexts({ '@context': contexts }) {
  check(Array.isArray(contexts) && contexts[0] === VC, 'context_not_allowed', 'contexts');
  checkContexts({ '@context': contexts.filter((/** @type {any} */ url) => url !== DID_CONFIGURATION) });
}

/** A text as page 11, section 11.2, has it; nothing if it is none. @param {string} text @param {string} did of whom it is, if it is one that counts */
function readJwt(text, did) {
  const parts = text.split('.');
  try {
    const bytes = parts.map((part) => Buffer.from(part, 'base64url'));
    if (parts.length !== 3 || bytes.some((one, i) => one.toString('base64url') !== parts[i])) return undefined;
    const [header, payload] = bytes.slice(0, 2).map((one) => /** @type {any} */ (readJson(one, { foreign: true })));
    const known = Object.keys(header).every((name) => HEADER.includes(name)) && header.typ === 'vc+jwt' && [undefined, 'vc'].includes(header.cty)
      && Object.values(ALGORITHMS).flat().includes(header.alg) && bytes[2].length === (header.alg === 'ES384' ? 96 : 64) && header.kid?.includes?.('#');
    checkShape(METHOD, header.kid);
    const claimed = ['iss', 'sub'].every((name) => [undefined, did].includes(payload[name])) && ['iat', 'nbf', 'exp'].every((name) => isDate(payload[name])) && payload.exp !== FIRST;
    return known && claimed && payload.proof === undefined ? { header, payload, signature: bytes[2], signed: `${parts[0]}.${parts[1]}` } : undefined;
  } catch { return undefined; }
}

/** The first second of them, before which nothing ends. */
const FIRST = 946684800;
/** Whether a claim is absent, or whole seconds of the years 2000 to 2999. @param {any} value */
const isDate = (value) => value === undefined || (Number.isInteger(value) && value >= FIRST && value < 32503680000);
