/** The back channel of protocol-spec/harness.md: start a hire, and ask what became of it. Beside that, what an owner says under a contract: `POST /hires/ID/say`. */
import { timingSafeEqual } from 'node:crypto';
import { checkDid } from './did.js';
import { digest } from './encoding.js';
import { HireError, check } from './errors.js';
import { readJson } from './json.js';
import { owed, basisOf } from './owed.js';
import { say } from './owner.js';
import { checkShape } from './schema.js';

/** @param {import('./peer.js').Peer} peer @param {import('node:http').IncomingMessage} incoming @returns {Promise<{status: number, body: any}>} */
export async function hook(peer, incoming) {
  const path = incoming.url ?? '';
  try {
    if (!peer.hookToken || !/^\/hires?(\/|$)/.test(path)) throw new HireError('bad_path', path);
    const given = Buffer.from(incoming.headers.authorization ?? '');
    const wanted = Buffer.from(`Bearer ${peer.hookToken}`);
    check(given.length === wanted.length && timingSafeEqual(given, wanted), 'unauthorized', 'token');
    if (incoming.method === 'POST' && path === '/hire') return { status: 202, body: { id: await begin(peer, await body(incoming)) } };
    const [, id, act] = /^\/hires\/([^/]+)(\/say)?$/.exec(path) ?? [];
    const conversation = id && incoming.method === (act ? 'POST' : 'GET') ? peer.find(decodeURIComponent(id)) : undefined;
    if (!conversation) throw new HireError('bad_path', path);
    if (!act) return { status: 200, body: stateOf(conversation) };
    const { type, ...said } = await body(incoming);
    return { status: 202, body: { digest: digest(await say(/** @type {any} */ (peer.find(conversation.id)), type, said)) } }; // it may have been put away meanwhile
  } catch (error) {
    const code = error instanceof HireError ? error.code : 'bad_request';
    return { status: { unauthorized: 401, bad_path: 404 }[code] ?? 400, body: { code } };
  }
}

/** @param {import('node:http').IncomingMessage} incoming */
async function body(incoming) {
  /** @type {Buffer[]} */ const parts = [];
  let size = 0;
  for await (const part of incoming) {
    size += part.length;
    check(size <= 1024 * 1024, 'too_large', 'body');
    parts.push(part);
  }
  return /** @type {any} */ (readJson(Buffer.concat(parts), { limit: 1024 * 1024 }));
}

/** @param {import('./peer.js').Peer} peer @param {any} wanted */
async function begin(peer, wanted) {
  checkShape('Order', wanted);
  checkDid(wanted.provider, peer.local);
  const inputs = Object.fromEntries(Object.entries(wanted.inputs ?? {}).map(([name, text]) => [name, Buffer.from(/** @type {string} */ (text), 'base64')]));
  const conversation = await peer.hire({ ...wanted, inputs });
  return conversation.id;
}

/** @param {import('./conversation.js').Conversation} conversation */
function stateOf(conversation) {
  const { state } = conversation.engagement;
  const delivery = conversation.last('Delivery', 'provider');
  const artifacts = Object.fromEntries((delivery?.artifacts ?? []).map((/** @type {any} */ one) => [one.name, bytesOf(conversation, one.digest)]));
  const ended = state.contract && state.endings.length > 0;
  return {
    id: conversation.id, role: conversation.role, peer: conversation.with, state: state.main, lane: state.lane, over: conversation.over,
    heads: Object.fromEntries(['hirer', 'provider'].map((role) => [role, engagementHeads(conversation, role)])),
    problems: conversation.problems,
    ...(state.contract ? { contract: state.contract } : {}),
    ...(state.withdrawn ? { withdrawn: state.withdrawn.reason } : {}),
    ...(ended ? { basis: basisOf(state), owed: owed(state) } : {}),
    ...(delivery ? { artifacts } : {}),
    messages: [...conversation.raw.values()],
  };
}

/** @param {import('./conversation.js').Conversation} conversation @param {string} role @returns {string[]} */
const engagementHeads = ({ engagement }, role) => engagement.moves[role].map(({ digest }) => digest);

/** @param {import('./conversation.js').Conversation} conversation @param {string} digest */
function bytesOf({ peer }, digest) {
  try { return peer.store.get(digest).toString('base64'); } catch { return null; }
}
