/** Histories for tests of what is decided by the state alone: published ones, and moves that nobody signed. */
import { readFileSync } from 'node:fs';
import { digest, instant, seconds } from '../src/encoding.js';
import { other } from '../src/contract.js';
import { Engagement } from '../src/machine.js';
import { SPEC } from '../src/spec.js';

/**
 * A published history as one side sees it, up to the first move of a type, or the first state of a kind.
 * @param {string} name @param {string | ((state: import('../src/machine.js').State) => boolean)} last
 */
export function history(name, last) {
  const read = (/** @type {string} */ file) => JSON.parse(readFileSync(`${SPEC}/vectors/journals/${name}/${file}`, 'utf8'));
  const engagement = new Engagement(read('case.json').view);
  let now = 0;
  for (const { message, at } of read('journal.json')) {
    now = seconds(at);
    engagement.take(message, { at: now, bytes: 0 });
    if (typeof last === 'string' ? message.type === last : last(engagement.state)) break;
  }
  return { engagement, now };
}

/** A move as its sender would write it next. @param {Engagement} engagement @param {string} role @param {string} type @param {any} body @param {number} created @param {number} [unseen] how many moves of the other side it has not seen */
export function move(engagement, role, type, body, created, unseen = 0) {
  const { inquiry, contract } = engagement.state;
  const own = engagement.moves[role];
  const theirs = engagement.moves[other(role)];
  const [sender, recipient] = role === 'hirer' ? [inquiry.sender, inquiry.recipient] : [inquiry.recipient, inquiry.sender];
  return {
    type, version: '1.0', engagement: inquiry.engagement, role, sender, recipient, sequence: own.length + 1, previous: own.at(-1)?.digest,
    seen: theirs.at(-1 - unseen)?.digest, contract, ...body, proof: { created: instant(created) },
  };
}

/** @param {Engagement} engagement @param {any} message @param {number} at */
export function take(engagement, message, at) {
  engagement.take(message, { at, bytes: 0 });
  return digest(message);
}
