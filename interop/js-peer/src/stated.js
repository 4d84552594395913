/** What a message says of logs: of its sender's, and what it cosigns of ours (page 08, section 8.5). */
import { check } from './errors.js';
import { assertionKeys } from './did.js';
import { hashOfDigest } from './encoding.js';
import { checkContinues, checkGrowth, headOf, readCheckpoint, readCosigned, rootFrom } from './ledger.js';

/** What a `Receipt` or `Sync` shows of its sender's log holds, and contradicts nothing before it (HIRE-LOG-03, HIRE-LOG-09). @param {any} notice @param {any[]} documents by which it is checked, and those recorded @param {number} now @param {import('./ledger.js').Heads} [heads] */
export function checkNotice(notice, documents, now, heads = new Map()) {
  const { sender, checkpoint, inclusion } = notice;
  if (checkpoint === undefined) return;
  const head = readCheckpoint(checkpoint, sender, documents.filter(({ id }) => id === sender).flatMap((one) => assertionKeys(one, now)));
  const before = heads.get(sender);
  check(!before || before.size !== head.size || head.root.equals(before.root), 'ledger_diverged', 'two roots of one size', '/checkpoint');
  if (inclusion === undefined) return;
  const { leaf, index, size, path } = inclusion;
  check(size === head.size, 'log_proof_invalid', 'size', '/inclusion');
  const root = rootFrom(hashOfDigest(leaf), index, size, path.map(hashOfDigest));
  check(head.root.equals(root), 'log_proof_invalid', 'root', '/inclusion');
}

/**
 * What a move states of its sender's log is its sender's (HIRE-LOG-04) and contradicts nothing before it (HIRE-LOG-05), and what it cosigns of ours is so: with
 * another root no pack of ours would hold (HIRE-LOG-22).
 * @param {import('./machine.js').Engagement} engagement @param {any} message @param {import('./did.js').Document} evidence its sender's document @param {import('./receive.js').By} by
 */
export async function checkStated({ documents }, message, evidence, { resolver, own, at, heads, log }) {
  const { type, sender, cosignatures } = message;
  const lists = [evidence, ...documents.filter(({ id }) => id === sender)];
  if (type === 'Closing') {
    lists.unshift(await resolver.resolve(sender, { fresh: true }));
    readCheckpoint(message.checkpoint, sender, lists.flatMap((one) => assertionKeys(one, at))); // signed again after a rotation, it carries what it carried
  }
  for (const note of log ? cosignatures ?? [] : []) checkCosigned(note, sender, lists.flatMap((one) => assertionKeys(one, at)), own, /** @type {any} */ (log));
  const head = headOf(message);
  if (!head) return;
  checkGrowth(head, heads.get(sender), type === 'Closing' ? '/checkpoint' : '/head');
  const proof = type === 'Closing' ? message.consistency : message.head.consistency;
  if (proof) checkContinues(heads.get(sender), head, proof, type === 'Closing' ? '/consistency' : '/head/consistency');
}

/** @param {string} note @param {string} by @param {import('./keys.js').PublicKey[]} keys of who cosigned @param {string} own @param {import('./ledger.js').Log} log */
function checkCosigned(note, by, keys, own, log) {
  try {
    const { origin, size, root } = readCosigned(note, by, keys);
    check(origin === own && size <= log.size && log.root(size).equals(root), 'log_proof_invalid', 'leaves that our log never had');
  } catch (error) { throw Object.assign(/** @type {any} */ (error), { path: '/cosignatures' }); }
}
