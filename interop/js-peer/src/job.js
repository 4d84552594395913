/** The work of a provider: through its gate, with signs of life, and one `Delivery` at the end. */
import { admit, usageOf } from './gate.js';
import { actionDigest, parseTarget, targetText } from './scope.js';
import { digest, duration, instant, seconds } from './encoding.js';
import { check, HireError } from './errors.js';
import { PROVENANCE, provenanceStatement, workStatement } from './statements.js';
import { FALLEN, fetchArtifact } from './artifacts.js';

const ANSWER_SECONDS = 600;
/** Milliseconds: a timer for longer fires at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** What is no last word of the hirer's gate: it goes by what it has sent, which may be under way to us, nobody is there, it is busy, or what we showed does not hold now. */
const FOR_NOW = new Set(['overloaded', 'contract_expired', ...FALLEN, 'unreachable', 'upstream_failed']);

/** What a handler gets. */
export class Job {
  /** @param {import('./conversation.js').Conversation} conversation */
  constructor(conversation) {
    this.conversation = conversation;
    const { state } = conversation.engagement;
    this.inputs = state.started.inputs;
    this.terms = state.terms;
    this.contract = state.contract;
    /** @type {{name: string, digest: string, mediaType: string}[]} */
    this.artifacts = [];
    /** @type {Set<string>} requests for approval that somebody here waits for, or did */
    this.awaited = new Set();
  }

  /** Books an action, waits while the contract is suspended, and asks a person of the hirer's where it has to. @param {import('./scope.js').Action} action @returns {Promise<{id: string, clause: string}>} */
  async act(action) {
    const { conversation } = this;
    check(typeof action.name === 'string' && typeof action.target === 'string', 'schema_violation', 'an action has a name and a target');
    for (let asked = false; ;) {
      await until(conversation, () => conversation.engagement.state.main !== 'suspended');
      try { return await admit(conversation, conversation.peer.did, action); } catch (error) {
        const { code } = /** @type {any} */ (error);
        if (conversation.engagement.state.main === 'suspended') continue; // since it was asked
        if (FALLEN.includes(code)) { // it may hold again
          await new Promise((resolve) => { setTimeout(resolve, 2000); });
          continue;
        }
        if (code !== 'approval_required' || asked) throw error; // what a yes covers no more is not asked for again (decision 0386)
        await this.#ask(action, /** @type {any} */ (error).clause);
        asked = true;
      }
    }
  }

  /** @param {import('./scope.js').Action} action @param {string} clause */
  async #ask(action, clause) {
    const { conversation, contract } = this;
    const details = { action: action.name, target: targetText(parseTarget(action.target)), amounts: { count: '1', ...action.amounts } };
    const asks = { contract, clause, action: action.name, arguments: actionDigest(action), details, reason: 'the work needs it' };
    const asked = await conversation.enqueue(async () => {
      const said = this.#open(asks) ?? await conversation.say({ type: 'ApprovalRequest', body: { ...asks, answerBy: instant(conversation.peer.now() + ANSWER_SECONDS) } });
      this.awaited.add(digest(said));
      return said;
    });
    const request = digest(asked);
    await until(conversation, () => !conversation.engagement.state.requests[request]?.open || conversation.peer.now() > seconds(asked.answerBy));
    const { answer } = conversation.engagement.state.requests[request] ?? {}; // none if the other side refused to be asked
    if (!answer?.granted) throw new HireError('approval_required', 'the answer is no');
  }

  /** A request of before a restart for the same, which nobody waits for here: a person is asked once. @param {any} asks */
  #open(asks) {
    const { engagement: { state: { requests } }, peer } = this.conversation;
    const same = (/** @type {any} */ message) => message.clause === asks.clause && message.arguments === asks.arguments && peer.now() <= seconds(message.answerBy);
    return Object.entries(requests).find(([name, { open, message }]) => open && same(message) && !this.awaited.has(name))?.[1].message;
  }

  /** The bytes of an input, read under the scope; where that is refused for now, or since one of the clocks is wrong, until the work is due. @param {string} name @returns {Promise<Buffer>} */
  async read(name) {
    const input = this.inputs.find((/** @type {any} */ one) => one.name === name);
    if (!input?.uri) throw new HireError('not_found', name);
    const asks = { name: 'artifact:read', target: input.uri };
    await this.act(asks);
    const { peer, engagement } = this.conversation;
    for (let wait = 500; ; wait = Math.min(2 * wait, 5000)) {
      try { return await fetchArtifact(peer, input.uri, this.contract, input.digest); } catch (error) {
        const { code, apart, cut, message } = /** @type {any} */ (error);
        if (!FOR_NOW.has(code) && !apart) throw error;
        peer.log(this.conversation, 'an input was not fetched yet', message);
        await new Promise((resolve) => { setTimeout(resolve, wait); });
        await until(this.conversation, () => !peer.stopped && engagement.state.main === 'working');
        if (cut) await this.act(asks); // the hirer's gate has the answer that was cut as one read, and the next as another (page 03, section 3.6)
      }
    }
  }

  /** @param {string} name @param {string | Uint8Array} bytes @param {string} mediaType */
  deliver(name, bytes, mediaType) {
    const { maxBytes = Infinity } = this.terms.deliverables.find((/** @type {any} */ one) => one.name === name) ?? {};
    if (Buffer.byteLength(bytes) > maxBytes) throw new HireError('too_large', name);
    const made = { name, digest: this.conversation.peer.store.put(Buffer.from(bytes)), mediaType };
    this.artifacts = [...this.artifacts.filter((one) => one.name !== name), made]; // the last of a name counts
  }
}

const pause = () => new Promise((resolve) => { setTimeout(resolve, 50); });

/** @param {import('./conversation.js').Conversation} conversation @param {() => boolean} holds */
async function until(conversation, holds) {
  while (!holds()) {
    if (conversation.peer.stopped || !['working', 'suspended'].includes(conversation.engagement.state.main)) throw new HireError('contract_expired', conversation.engagement.state.main);
    await pause();
  }
}

/**
 * Whether a delivery that is ready waits for the seal of a document that we accepted, which it would overtake: for `sealGrace`, and half of what was
 * left of our own time then (HIRE-LAN-08, decision 0309).
 * @param {import('./conversation.js').Conversation} conversation
 */
export function holdsDelivery({ engagement, peer }) {
  const { accepted, lane, main, terms, due } = engagement.state;
  if (lane !== 'accepted-by-provider' || accepted.overtaken || !['working', 'suspended', 'cancelling'].includes(main)) return false;
  const end = Math.min(due, seconds(terms.deadlines.until));
  return peer.now() < Math.min(accepted.at + duration(terms.sealGrace), accepted.at + (end - accepted.at) / 2);
}

/** Fails once the work has run past what is due, or has ended otherwise. @param {import('./conversation.js').Conversation} conversation */
async function due(conversation) {
  const { engagement, peer } = conversation;
  await until(conversation, () => engagement.state.main === 'working' && peer.now() >= engagement.state.due);
  throw new HireError('timeout', 'the work ran past what is due');
}

/** Runs the handler of a task and sends the delivery. @param {import('./conversation.js').Conversation} conversation @param {import('./provider.js').Service} service */
export async function work(conversation, service) {
  const job = new Job(conversation);
  const { peer, engagement } = conversation;
  const startedOn = instant(engagement.state.started.at);
  let outcome = 'complete';
  const beat = setInterval(() => conversation.enqueue(() => progress(conversation)), Math.min(Math.max((duration(job.terms.deadlines.heartbeat) * 1000) / 2, 1000), LONGEST_TIMER));
  try {
    await Promise.race([service.run(job), due(conversation)]);
    check(job.artifacts.length > 0, 'decision_failed', 'it made nothing');
  } catch (error) {
    peer.log(conversation, 'work failed', error);
    outcome = 'failed';
  }
  await until(conversation, () => engagement.state.main === 'working').catch(() => {});
  while (holdsDelivery(conversation) && !peer.stopped) await pause();
  const said = () => conversation.enqueue(async () => {
    const { main } = engagement.state;
    if (peer.stopped) return true; // it goes on when it is there again
    if (!['working', 'suspended', 'cancelling'].includes(main)) return true;
    if (main === 'cancelling') outcome = 'cancelled';
    try {
      await conversation.say({ type: 'Delivery', body: delivery(conversation, job, outcome, startedOn) });
    } catch (error) {
      if (/** @type {any} */ (error).code !== 'store_unavailable') throw error;
      return false;
    }
    await peer.turn(conversation);
    return true;
  });
  try {
    while (!await said()) await pause(); // for room on our disk: the work is not done again for that
  } finally { clearInterval(beat); }
}

/** @param {import('./conversation.js').Conversation} conversation @param {Job} job @param {string} outcome @param {string} startedOn */
function delivery(conversation, { artifacts, inputs, terms, contract }, outcome, startedOn) {
  const { peer, engagement, actions, actionsOmitted } = conversation;
  const usage = usageOf(conversation);
  const { round } = engagement.state;
  const of = {
    contract, engagement: conversation.id, provider: peer.did, task: terms.task.kind, inputs, actions, actionsOmitted, usage, startedOn, finishedOn: instant(peer.now()), round,
  };
  const { round: _, ...ofWork } = of;
  const statements = artifacts.length === 0 ? [] : [
    workStatement(artifacts, ofWork, peer.key),
    ...(terms.evidence.predicates.includes(PROVENANCE) ? [provenanceStatement(artifacts, of, peer.key)] : []),
  ];
  return { contract, outcome, artifacts: [...artifacts], statements, usage, round };
}

/** The number of the next `Progress`: it goes on rising after a restart, which knows of none, since time goes on (HIRE-LIF-35). @param {number} last @param {number} seconds since `Start` */
export const nextBeat = (last, seconds) => Math.max(last + 1, Math.floor(seconds));

/** A sign of life. @param {import('./conversation.js').Conversation} conversation */
export async function progress(conversation) {
  const { main, started } = conversation.engagement.state;
  if (main !== 'working') return;
  conversation.beats = nextBeat(conversation.beats, conversation.peer.now() - started.at);
  await conversation.tell('Progress', { contract: conversation.engagement.state.contract, number: conversation.beats, usage: usageOf(conversation) });
}
