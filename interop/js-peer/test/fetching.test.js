/** What is asked for where others say where it is (page 02, sections 2.2 and 2.12). */
import { createServer } from 'node:http';
import { once } from 'node:events';
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { fetchBytes } from '../src/did.js';

test('path and query are asked for as they are written, and a URL with more than a host is none', async () => {
  const server = createServer((asked, answer) => answer.end(asked.url)).listen(0, 'localhost');
  await once(server, 'listening');
  const origin = `http://localhost:${/** @type {any} */ (server.address()).port}`;
  for (const [written, asked] of [
    ['/a/../1', '/a/../1'], ['/%2e%2E/./1?', '/%2e%2E/./1'], ['', '/'], ['?x=/../', '/?x=/../'], ['/a|{b}\\"^`<c>#d', '/a|{b}\\"^`<c>'], ['/x?y#z?w', '/x?y'],
  ]) assert.equal((await fetchBytes(origin + written)).toString(), asked);
  for (const host of ['u:p@localhost', 'u@localhost', 'localhost\\x', '%6cocalhost', 'xn--a.example', '']) {
    await assert.rejects(fetchBytes(origin.replace('localhost', host)), { code: 'did_unresolvable' });
  }
  server.close();
});
