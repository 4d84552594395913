/** Evidence packs of format 1 (page 08, section 8.6): written from what the journal holds. */
import { crc32 } from 'node:zlib';
import { digest as digestOf, digestOfBytes, instant, jcs } from './encoding.js';
import { countersigned } from './contract.js';
import { HireError } from './errors.js';

/** Half of what a pack may have. */
const ARTIFACTS = 128 * 1024 * 1024;
const VERSION = 20;
const UNIX = 3 << 8;
const FIRST_DAY = (1 << 5) | 1;
const MODE = (0o100644 << 16) >>> 0;

/** @param {(2 | 4)[]} sizes @param {number[]} values */
function little(sizes, values) {
  const made = Buffer.alloc(sizes.reduce((sum, size) => sum + size, 0));
  sizes.reduce((at, size, i) => (size === 2 ? made.writeUInt16LE(values[i], at) : made.writeUInt32LE(values[i], at)), 0);
  return made;
}

/** The one archive of these members. @param {Map<string, Uint8Array>} members */
function archive(members) {
  /** @type {Uint8Array[]} */ const body = [];
  /** @type {Uint8Array[]} */ const directory = [];
  let at = 0;
  let listed = 0;
  for (const name of [...members.keys()].sort()) {
    const data = /** @type {Uint8Array} */ (members.get(name));
    const path = Buffer.from(name, 'ascii');
    const common = [VERSION, 0, 0, 0, FIRST_DAY, crc32(data), data.length, data.length, path.length, 0];
    const entry = little([4, 2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4], [0x02014b50, UNIX | VERSION, ...common, 0, 0, 0, MODE, at]);
    const local = little([4, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2], [0x04034b50, ...common]);
    directory.push(entry, path);
    listed += entry.length + path.length;
    body.push(local, path, data);
    at += local.length + path.length + data.length;
  }
  const end = little([4, 2, 2, 2, 2, 4, 4, 2], [0x06054b50, 0, 0, members.size, members.size, listed, at, 0]);
  return Buffer.concat([...body, ...directory, end]);
}

/** @param {import('./peer.js').Peer} peer @param {string} engagement @returns {Buffer} */
export function pack(peer, engagement) {
  const conversation = peer.find(engagement);
  const entries = entriesOf(peer.store, engagement);
  const said = entries.filter(({ k, raw }) => k === 'sent' || k === 'got' || (k === 'back' && raw)); // what took a move back says why another stands in its place
  if (!conversation || said.length === 0) throw new HireError('not_found', engagement);
  /** @type {Map<string, {data: Buffer, kind: string, at?: number}>} */ const members = new Map();
  const add = (/** @type {string} */ path, /** @type {string | Uint8Array} */ data, /** @type {string} */ kind, /** @type {number} */ at) => members.set(path, { data: Buffer.from(data), kind, ...(at === undefined ? {} : { at }) });
  /** @type {any[]} */ const messages = said.map(({ raw }) => JSON.parse(raw));
  said.forEach(({ k, raw, at }, i) => {
    const { type, statements, statement } = messages[i];
    const number = String(i + 1).padStart(4, '0');
    add(`transcript/${number}-${k === 'sent' ? 'sent' : 'received'}-${type}.json`, raw, 'message', at);
    const carried = type === 'Delivery' ? statements : type === 'Review' ? [statement] : [];
    carried.forEach((/** @type {any} */ one, /** @type {number} */ place) => add(`statements/${number}-${type === 'Review' ? 'acceptance' : 'work'}-${place + 1}.json`, jcs(one), 'statement', /** @type {any} */ (undefined)));
  });
  const nameless = (/** @type {string} */ folder, /** @type {string | Uint8Array} */ data, /** @type {string} */ kind, ending = '.json') => add(`${folder}/${digestOfBytes(data)}${ending}`, data, kind, /** @type {any} */ (undefined));
  const documents = entries.flatMap(({ evidence, documents: others = [] }) => [...(evidence ? [evidence] : []), ...others]);
  for (const document of documents.filter(({ id }) => !id.startsWith('did:key:'))) nameless('did-documents', JSON.stringify(document), 'did-document');
  for (const { k, statement } of entries) if (k === 'refused') nameless('refusals', jcs(statement), 'refusal');
  for (const { text } of entries.filter(({ k }) => k === 'decision')) {
    nameless('decisions', text, 'decision');
    const { policy, statusLists } = JSON.parse(text).inputs;
    nameless('policies', peer.store.get(policy), 'policy');
    for (const list of statusLists) nameless('status', peer.store.get(list), 'status');
  }
  addContract(messages, conversation, add);
  addLog(peer, conversation.role, messages, entries, add);
  let room = ARTIFACTS;
  // of what a provider named, a hirer shows what it took: whatever else of that digest it has came from elsewhere (HIRE-ATT-12)
  const taken = new Set(messages.filter(({ type, verdict }) => type === 'Review' && verdict === 'accepted').map(({ delivery }) => delivery));
  const delivered = messages.filter((one) => one.type === 'Delivery' && (conversation.role === 'provider' || taken.has(digestOf(one))));
  for (const { digest } of delivered.flatMap(({ artifacts }) => artifacts)) {
    try {
      const bytes = peer.store.get(digest);
      if (!members.has(`artifacts/${digest}`)) room -= bytes.length;
      if (room < 0) break; // the others are named by their digests (HIRE-LIM-05)
      nameless('artifacts', bytes, 'artifact', '');
    } catch { /* not here */ }
  }
  const { contract } = conversation.engagement.state;
  const manifest = {
    format: 1, engagement, role: conversation.role, own: peer.did, peer: conversation.with, ...(contract ? { contract } : {}), created: instant(Math.max(...said.map(({ at }) => at))),
    members: [...members].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, { data, kind, at }]) => ({ path, digest: digestOfBytes(data), kind, ...(at === undefined ? {} : { recordedAt: instant(at) }) })),
  };
  return archive(new Map([...[...members].map(([path, { data }]) => /** @type {[string, Buffer]} */ ([path, data])), ['manifest.json', Buffer.from(jcs(manifest))]]));
}

/** All of one engagement, each leaf with its place in the log. @param {import('./store.js').Store} store @param {string} engagement */
function entriesOf(store, engagement) {
  /** @type {any[]} */ const found = [];
  let index = 0;
  for (const { entries } of store.lines()) {
    for (const entry of entries) {
      if (entry.engagement === engagement) found.push(entry.k === 'leaf' ? { ...entry, index } : entry);
      if (entry.k === 'leaf') index += 1;
    }
  }
  return found;
}

/** @typedef {(path: string, data: string | Uint8Array, kind: string, at: any) => void} Add */

/** @param {any[]} messages @param {import('./conversation.js').Conversation} conversation @param {Add} add */
function addContract(messages, conversation, add) {
  const seal = messages.find(({ type }) => type === 'Seal');
  if (!seal) return;
  const named = (/** @type {string} */ digest) => conversation.engagement.messages[digest];
  const [offer, acceptance] = [named(seal.offer), named(seal.acceptance)];
  add('contract.json', jcs({ document: countersigned(offer.document, acceptance.contractProof), acceptance, seal }), 'contract', undefined);
}

/** Our log as it was when our books were closed, or is, and that it has what has a leaf. @param {import('./peer.js').Peer} peer @param {string} role @param {any[]} messages @param {any[]} entries @param {Add} add */
function addLog(peer, role, messages, entries, add) {
  const closing = messages.findLast((one) => one.type === 'Closing' && one.role === role);
  const note = Buffer.from((closing?.checkpoint ?? peer.checkpoint()).slice(1), 'base64url').toString();
  const size = Number(note.split('\n')[1]);
  const leaves = entries.filter(({ k, index }) => k === 'leaf' && index < size);
  if (leaves.length === 0) return;
  const contract = leaves.find(({ label }) => label === 'contract');
  add('ledger/checkpoint.txt', note, 'ledger', undefined);
  if (contract) add('ledger/inclusion.json', jcs(peer.ledger.inclusion(contract.index, size)), 'ledger', undefined);
  const proofs = leaves.map(({ label, commitment, salt, index }) => ({ label, commitment, index, path: peer.ledger.inclusion(index, size).path, ...(salt ? { salt } : {}) }));
  add('ledger/proofs.json', jcs({ size, proofs }), 'log-proofs', undefined);
}
