/** Where a peer listens, whom it dials, and the connections that come of both (page 03). */
import http from 'node:http';
import { WebSocketServer } from 'ws';
import { serveArtifact } from './artifacts.js';
import { endpoint } from './did.js';
import { hook } from './hook.js';
import { readFrame } from './incoming.js';
import { progress } from './job.js';
import { MESSAGE_BYTES } from './json.js';
import { accept, dial, SUBPROTOCOL } from './link.js';

/** @typedef {import('./peer.js').Peer} Peer */
/** @typedef {import('./conversation.js').Conversation} Conversation */

/** Connections on which nobody is proved yet. */
const UNPROVED = 256;
/** Proved connections; more than these only with whom there is something under way: a name costs nothing (HIRE-LIM-02). */
const PROVED = 4096;

/** The time by which proofs are judged here, which may stand still: who is refused sees how far its own is from it. @param {Peer} peer */
const date = (peer) => new Date(peer.now() * 1000).toUTCString();

/** Listens, from when this is done. @param {Peer} peer */
export async function listen(peer) {
  const server = http.createServer((request, response) => { respond(peer, request, response).catch((error) => { peer.log(undefined, 'http', error); response.destroy(); }); });
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES, perMessageDeflate: false, handleProtocols: () => SUBPROTOCOL });
  sockets.on('headers', (fields) => fields.push(`Date: ${date(peer)}`));
  server.on('upgrade', (request, socket, head) => {
    const offered = String(request.headers['sec-websocket-protocol'] ?? '').split(',').map((one) => one.trim());
    if (request.url !== '/hire' || !offered.includes(SUBPROTOCOL)) return void socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    if (peer.unproved >= UNPROVED) return void socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n');
    return sockets.handleUpgrade(request, socket, head, (ws) => {
      ws.on('error', (error) => peer.log(undefined, 'socket', error));
      peer.unproved += 1;
      const gone = new Promise((resolve) => { ws.once('close', resolve); });
      accept(ws, peer.self).catch(async (error) => { await gone; throw error; }).finally(() => { peer.unproved -= 1; }).then((link) => linked(peer, link), (error) => peer.log(undefined, 'handshake', error));
    });
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject).listen(peer.port, peer.local ? '127.0.0.1' : undefined, () => resolve(undefined));
  });
  peer.port = /** @type {any} */ (server.address()).port;
  peer.origin ||= `http://localhost:${peer.port}`;
  Object.assign(peer, { server, sockets });
}

/** @param {Peer} peer @param {http.IncomingMessage} incoming @param {http.ServerResponse} response */
async function respond(peer, incoming, response) {
  const path = incoming.url ?? '/';
  const raw = incoming.rawHeaders;
  /** @type {[string, string][]} */
  const headers = Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i], raw[2 * i + 1]]);
  const answer = path.startsWith('/artifacts/') ? await serveArtifact(peer, { method: incoming.method ?? '', path, headers }) : await hook(peer, incoming);
  const bytes = Buffer.isBuffer(answer.body) ? answer.body : Buffer.from(JSON.stringify(answer.body));
  response.writeHead(answer.status, { date: date(peer), 'content-type': Buffer.isBuffer(answer.body) ? 'application/octet-stream' : 'application/json', 'content-length': bytes.length });
  response.end(bytes);
}

/** Dials where there is somewhere to dial, in growing, varied pauses (HIRE-SYN-03). @param {Peer} peer @param {Conversation} conversation */
export async function reach(peer, conversation) {
  const to = conversation.with;
  const { at, tries } = peer.dials.get(to) ?? { at: 0, tries: 0 };
  if (performance.now() < at) return;
  waits(peer, to, tries);
  try {
    const url = conversation.url ?? endpoint(await peer.resolver.resolve(to));
    if (!url) return;
    const link = await dial(url, to, peer.self);
    link.socket.on('close', (code) => waits(peer, to, code === 1008 ? tries : 0)); // what was refused is refused again
    await linked(peer, link);
  } catch (error) { peer.log(conversation, 'unreachable', /** @type {any} */ (error).message); }
}

/** Puts the next attempt to dial off, 30 seconds at most: so long who was away listens (decision 0370). @param {Peer} peer @param {string} to @param {number} tries made before */
function waits({ dials }, to, tries) {
  dials.set(to, { at: performance.now() + Math.min(19500, 250 * 2 ** tries) * (0.5 + Math.random()) + 250, tries: tries + 1 });
}

/** @param {Peer} peer @param {import('./link.js').Link} link */
async function linked(peer, link) {
  const known = peer.links.has(link.peer) || [...peer.conversations.values()].some((one) => one.with === link.peer);
  if (!known && peer.links.size >= PROVED) return link.close(1008, 'overloaded');
  peer.links.get(link.peer)?.close(1000);
  peer.links.set(link.peer, link);
  link.socket.on('close', () => { if (peer.links.get(link.peer) === link) peer.links.delete(link.peer); });
  for (const conversation of peer.conversations.values()) {
    if (conversation.with === link.peer) conversation.enqueue(() => inStep(conversation));
  }
  link.listen((bytes) => readFrame(peer, link, bytes).catch((error) => peer.log(undefined, 'frame', error)));
  return undefined;
}

/** First on a connection: where we stand; before the peer showed anything, what we began with. @param {Conversation} conversation */
async function inStep(conversation) {
  const { state } = conversation.engagement;
  if (conversation.acked === 0 && conversation.theirs.length === 0) return conversation.repeat();
  if (!conversation.over) {
    await conversation.tell('Sync', { state: state.main, lane: state.lane });
    if (conversation.role === 'provider' && conversation.working) await progress(conversation); // the other side counts from the last that it heard
  } else if (conversation.own.length > conversation.acked) await conversation.repeat();
  return undefined;
}
