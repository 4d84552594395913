/** What a statement and each kind of claim has to be, member by member (page 08, section 8.2, and `attestation/`). */
import { define } from './schema.js';

export const STATEMENT = 'https://in-toto.io/Statement/v1';
export const WORK = 'https://w3id.org/hire/attestation/work/v1';
export const PROVENANCE = 'https://slsa.dev/provenance/v1';
export const ACCEPTANCE = 'https://slsa.dev/verification_summary/v1';
export const BUILD = 'https://w3id.org/hire/attestation/task/v1';

const [did, engagement, digest, time] = ['recipient', 'engagement', 'seen', 'validUntil'].map((name) => ({ $ref: `Offer#/properties/${name}` }));
const amount = { $ref: 'Offer#/$defs/Price/properties/amount' };
const text = (/** @type {number} */ maxLength, minLength = 1) => ({ type: 'string', minLength, maxLength });
const list = (/** @type {any} */ items, /** @type {number} */ maxItems) => ({ type: 'array', items, maxItems });
/** All of these members and no others. @param {Record<string, any>} needed @param {Record<string, any>} [more] what may be left out */
const closed = (needed, more = {}) => ({ type: 'object', required: Object.keys(needed), properties: { ...needed, ...more }, additionalProperties: false });

const version = { type: 'object', additionalProperties: { type: 'string' } };
const sha256 = closed({ sha256: { type: 'string', pattern: '^[0-9a-f]{64}(?!\\n)$' } });
const resource = closed({ digest: sha256 }, { name: text(256), uri: text(2048), mediaType: text(512, 0) });
const digests = { type: 'object', minProperties: 1, maxProperties: 8, additionalProperties: { type: 'string' } };
const subject = closed({ name: text(256), digest: digests }, { mediaType: text(512, 0), uri: text(2048, 0) });

define('Envelope', closed({ payload: { type: 'string' }, payloadType: text(256), signatures: list(closed({ sig: text(1024, 4) }, { keyid: text(2048, 0) }), 8) }));

define('Statement', closed({ _type: { const: STATEMENT }, subject: { ...list(subject, 64), minItems: 1 }, predicateType: text(256), predicate: { type: 'object' } }));

define('Work', closed({
  contract: digest, engagement, provider: did, task: text(256), startedOn: time, finishedOn: time, actionsOmitted: { type: 'integer', minimum: 0 }, policies: list(digest, 64),
  inputs: list(closed({ name: text(256), digest }), 64),
  actions: list(closed({ at: time, action: text(256), target: text(2048), clause: text(256), allowed: { type: 'boolean' } }, { reason: text(4096, 0) }), 256),
  usage: list(closed({ clause: text(256), unit: text(256), amount }), 256),
}, { subcontracts: list(closed({ provider: did, task: text(256), outcome: text(4096, 0) }, { contract: digest }), 64) }));

define('Provenance', closed({
  buildDefinition: closed({
    buildType: { const: BUILD }, externalParameters: closed({ contract: digest, clauses: list(text(512), 64), task: text(512) }), resolvedDependencies: list(resource, 128),
  }),
  runDetails: closed({ builder: closed({ id: did }, { version }), metadata: closed({ invocationId: text(512), startedOn: time, finishedOn: time }) }),
}));

define('Verdict', closed({
  verifier: closed({ id: did }, { version }), timeVerified: time, resourceUri: text(2048), policy: resource, inputAttestations: list(resource, 64),
  verificationResult: { enum: ['PASSED', 'FAILED'] }, verifiedLevels: { type: 'array' },
}));
