/** The contracts above a subcontract: they verify alone, and it lies inside each (page 16, sections 16.1 and 16.2). */
import { check } from './errors.js';
import { amount, digest, duration, instant, isObject, seconds } from './encoding.js';
import { checkDocument, verifySealed } from './contract.js';
import { parseTarget, scopeInside } from './scope.js';

/** @param {any} document @returns {string} the digest of the contract as first sealed */
const nameOf = (document) => (document.type === 'Amendment' ? document.contract : digest(document));

/**
 * @param {any} document of the offer @param {any[] | undefined} parents @param {import('./did.js').Resolver} resolver @param {number} [now]
 * @returns {Promise<string[]>} names of the contracts above, the parent first
 */
export async function verifyParents(document, parents, resolver, now) {
  if (document.parent === undefined) {
    check(parents === undefined, 'chain_invalid', 'parents of a contract that names none');
    return [];
  }
  check(parents !== undefined && parents.length <= 5, 'chain_invalid', 'parents');
  // What costs least first: shapes, the chain and what lies inside what, and then the proofs.
  for (const parent of /** @type {any[]} */ (parents)) {
    const whole = Object.keys(parent).sort().join() === 'acceptance,document,seal' && Object.values(parent).every(isObject);
    check(whole, 'schema_violation', 'members of a parent', '/parents');
    check(parent.document.type !== 'Release', 'schema_violation', 'a document without terms', '/parents');
    checkDocument(parent.document);
  }
  let child = document;
  const names = [];
  for (const { document: above } of /** @type {any[]} */ (parents)) {
    check(nameOf(above) === child.parent, 'chain_invalid', 'another contract');
    check(above.provider === child.hirer, 'chain_invalid', 'another provider');
    checkInside(child, above);
    names.push(child.parent);
    child = above;
  }
  check(child.parent === undefined, 'chain_invalid', 'ends below its root');
  for (const parent of /** @type {any[]} */ (parents)) await verifySealed(parent, resolver, now);
  return names;
}

/** @param {any} child @param {any} parent documents */
function checkInside(child, parent) {
  const [mine, above] = [child.terms, parent.terms];
  const inside = (/** @type {boolean} */ holds, /** @type {string} */ says) => check(holds, 'scope_exceeded', says);
  inside(above.subcontracting.allowed && mine.subcontracting.depth < above.subcontracting.depth, 'subcontracting');
  const handedOver = (/** @type {any} */ grant) => {
    const target = parseTarget(grant.target, { pattern: true });
    return grant.action === 'artifact:read' && target.query === undefined && mine.task.inputs.includes(target.segments.at(-1));
  };
  inside(scopeInside(mine.scope, above.scope, handedOver), 'scope');
  const free = mine.price.amount === '0';
  inside(free || (mine.price.currency === above.price.currency && amount(mine.price.amount) <= amount(above.price.amount)), 'price');
  checkDeadlines(mine.deadlines, above.deadlines, inside);
  checkEvidence(mine.evidence, above.evidence, inside);
  const [data, wide] = [mine.dataHandling, above.dataHandling];
  inside(data.purpose === wide.purpose, 'purpose');
  inside(wide.classes.length === 0 || (data.classes.length > 0 && data.classes.every((/** @type {string} */ one) => wide.classes.includes(one))), 'classes');
  inside(duration(data.retention) <= duration(wide.retention), 'retention');
  inside((wide.onward || !data.onward) && (wide.training || !data.training), 'onward, training');
  inside(wide.onward || !mine.task.inputs.some((/** @type {string} */ input) => above.task.inputs.includes(input)), 'inputs');
}

/** @param {any} mine @param {any} above @param {(holds: boolean, says: string) => void} inside */
function checkDeadlines(mine, above, inside) {
  const end = (/** @type {any} */ one) => seconds(instant(seconds(one.finish) + duration(one.review)));
  inside(seconds(mine.finish) < seconds(above.finish), 'finish');
  inside(end(mine) < end(above), 'review');
  inside(seconds(mine.until) < seconds(above.until), 'until');
  if (above.notBefore !== undefined) inside(seconds(mine.notBefore ?? mine.start) >= seconds(above.notBefore), 'notBefore');
}

/** @param {any} mine @param {any} above @param {(holds: boolean, says: string) => void} inside */
function checkEvidence(mine, above, inside) {
  inside(above.predicates.every((/** @type {string} */ one) => mine.predicates.includes(one)), 'predicates');
  inside(above.sbom === undefined || mine.sbom === above.sbom, 'sbom');
  inside(!above.c2pa || mine.c2pa, 'c2pa');
}

