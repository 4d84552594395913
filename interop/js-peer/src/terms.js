/** The terms that this peer writes. */
import { instant } from './encoding.js';
import { WORK } from './statements.js';

const HOUR = 3600;
/** What is owed if neither side names it. */
const UNNAMED = [{ name: 'result', mediaType: 'application/octet-stream' }];

/** What a capability of a `Profile` says that is delivered, which may be written in any form. @param {any} capability @returns {{name: string, mediaType: string}[]} */
function delivered({ delivers } = {}) {
  const named = Array.isArray(delivers) && delivers.every((one) => typeof one?.name === 'string' && typeof one.mediaType === 'string');
  return named && delivers.length ? delivers.slice(0, 64) : UNNAMED;
}

/**
 * @param {string} base id of the document
 * @param {{task: any, sketch: any, capability: any, price: any, criteria: Record<string, string>, arbiter?: string}} of
 * @param {number} now
 */
export function draftTerms(base, { task, sketch, capability, price, criteria, arbiter }, now) {
  const move = (/** @type {any} */ node) => JSON.parse(JSON.stringify(node).replaceAll('"urn:hire:sketch#', `"${base}#`));
  // A criterion is named once in a contract, so all stand with the first of what is delivered.
  const held = (/** @type {number} */ place) => (place > 0 ? [] : Object.entries(criteria).map(([id, text]) => ({ id, text })));
  return {
    id: `${base}#terms`, task, scope: move(sketch), price,
    deliverables: delivered(capability).map((/** @type {any} */ one, /** @type {number} */ place) => ({ name: one.name, mediaType: one.mediaType, criteria: held(place) })),
    settlement: { method: 'none' },
    deadlines: {
      start: instant(now + 600), finish: instant(now + HOUR), until: instant(now + 2 * HOUR), heartbeat: 'PT1M', review: 'PT1H', rework: 'PT1H', windDown: 'PT1M', close: 'PT1H',
    },
    reworks: 1, sealGrace: 'PT2M', subcontracting: { allowed: false, depth: 0 }, mustStayValid: [],
    evidence: { predicates: [WORK], c2pa: false },
    dataHandling: { purpose: 'this task only', classes: [], retention: 'PT0S', onward: false, training: false },
    termination: { convenience: 'none', cure: 'PT1H' }, onSilence: 'accepted', policies: [], ...(arbiter ? { arbiter } : {}),
  };
}

/** The authority to read each input once more than it takes, so that a crash in between costs nothing. @param {{uri: string}[]} inputs */
export function sketchFor(inputs) {
  const id = 'urn:hire:sketch#';
  const grants = inputs.map(({ uri }, i) => ({
    id: `${id}read-${i}`, action: 'artifact:read', target: uri,
    constraint: [{ id: `${id}read-${i}.limit.count`, leftOperand: 'count', operator: 'lteq', rightOperand: ['16'] }],
  })).sort((a, b) => (a.id < b.id ? -1 : 1));
  return { id: `${id}scope`, type: 'Scope', ...(grants.length ? { grants } : {}) };
}
