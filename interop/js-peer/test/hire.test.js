/** Two of these peers over real sockets. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { dial } from '../src/link.js';
import { endless, service, two, until, whole } from '../support/peers.js';

for (const suite of ['eddsa-jcs-2022', 'eddsa-rdfc-2022']) {
  for (const opens of ['hirer', 'provider']) {
    test(`a whole hire with ${suite}, the ${opens} opens`, async (t) => {
      const made = await two(t, { suites: [suite] });
      const [hirer, provider] = [await made.hirer(), await made.provider()];
      const hire = await hirer.hire({ ...made.order(provider), opens });
      await whole(hirer, provider, hire.id);
      const contract = hire.engagement.state;
      assert.equal(contract.terms.price.amount, '4');
      assert.equal(hirer.store.get(hire.last('Delivery').artifacts[0].digest).toString(), 'All is well.');
      assert.equal(hire.engagement.moves.hirer.length + hire.engagement.moves.provider.length, opens === 'hirer' ? 13 : 12);
      await Promise.all([hirer.stop(), provider.stop()]);
    });
  }
}

test('work that reads under two clauses is delivered, with a line of usage for each', async (t) => {
  const made = await two(t);
  const run = async (/** @type {any} */ job) => {
    for (const name of ['one', 'other', 'one']) await job.read(name);
    job.deliver('summary.txt', 'read', 'text/plain');
  };
  const [hirer, provider] = [await made.hirer(), await made.provider({ services: [{ ...service, run }] })];
  const hire = await hirer.hire({ ...made.order(provider), inputs: { one: Buffer.from('1'), other: Buffer.from('2') } });
  await whole(hirer, provider, hire.id);
  assert.deepEqual(hire.last('Delivery').usage, [{ clause: 'read-0', unit: 'count', amount: '2' }, { clause: 'read-1', unit: 'count', amount: '1' }]);
});

test('who is not vouched for gets a no that says what would change it', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider({ trust: ['did:web:nobody.example'] })];
  const hire = await hirer.hire(made.order(provider));
  await until(() => hire.over);
  const { reason, needed } = hire.engagement.state.withdrawn;
  assert.equal(reason, 'policy_denied');
  assert.deepEqual(needed[0].issuers, ['did:web:nobody.example']);
  await Promise.all([hirer.stop(), provider.stop()]);
});

test('a price above the most is declined', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider()];
  const hire = await hirer.hire({ ...made.order(provider), price: { amount: '3.5', currency: 'EUR' } });
  await until(() => hire.over);
  assert.equal(hire.engagement.state.withdrawn.reason, 'declined');
  await Promise.all([hirer.stop(), provider.stop()]);
});

test('a profile whose words fit into no offer ends the negotiation at once', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider({ services: [{ ...service, delivers: '' }] })];
  const hire = await hirer.hire(made.order(provider));
  await until(() => hire.over);
  assert.equal(hire.engagement.state.withdrawn.reason, 'decision_failed');
});

test('statements that nobody makes are declined: for want of them whatever is made could be rejected (HIRE-ATT-05)', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider()];
  const { termsFor } = hirer;
  hirer.termsFor = (/** @type {any[]} */ ...of) => {
    const terms = Reflect.apply(termsFor, hirer, of);
    return { ...terms, evidence: { ...terms.evidence, predicates: [...terms.evidence.predicates, 'https://nobody.example/statement'] } };
  };
  const hire = await hirer.hire(made.order(provider));
  await until(() => hire.over);
  const { reason, needed } = hire.engagement.state.withdrawn;
  assert.deepEqual([reason, needed], ['declined', [{ code: 'member', member: '/evidence/predicates' }]]);
  await Promise.all([hirer.stop(), provider.stop()]);
});

test('a provider that is there again gives a sign of life at once: its hirer counts from the last one', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider({ services: [endless] })];
  const hire = await hirer.hire(made.order(provider));
  await until(() => hire.engagement.state.main === 'working' && hire.unanswered.length === 0);
  assert.equal(hire.signs, 0);
  provider.kill();
  provider.store.close();
  await made.provider({ port: provider.port, services: [endless] });
  await until(() => hire.signs > 0, 20);
});

test('what was said before a restart moves nothing and is recorded by nobody when it is played again, in whatever order', async (t) => {
  const made = await two(t);
  const [hirer, first] = [await made.hirer(), await made.provider({ services: [endless] })];
  const hire = await hirer.hire(made.order(first));
  await until(() => hire.engagement.state.main === 'working' && hire.unanswered.length === 0);
  clearInterval(hirer.timer); // it dials no more
  first.kill();
  first.store.close();
  const provider = await made.provider({ port: first.port, services: [endless] });
  const { engagement } = /** @type {import('../src/conversation.js').Conversation} */ (provider.find(hire.id));
  const held = () => [engagement.state.main, provider.store.size, ...['hirer', 'provider'].map((role) => engagement.moves[role].map(({ digest }) => digest).join())];
  const before = held();
  const link = await dial(provider.url, provider.did, hirer.self);
  /** @type {string[]} */ const receipts = [];
  link.listen(async (bytes) => {
    const said = JSON.parse(bytes.toString());
    if (said.type === 'Receipt') receipts.push(...said.of);
  });
  const own = hire.own.map(({ digest }) => digest);
  for (const name of [...own].reverse()) link.send(/** @type {string} */ (hire.raw.get(name)));
  await until(() => own.every((name) => receipts.includes(name)));
  assert.deepEqual(held(), before);
});

// Each side is killed right after its n-th write, before anything that follows from it leaves, and comes back.
for (const side of /** @type {('hirer' | 'provider')[]} */ (['hirer', 'provider'])) {
  for (const after of side === 'hirer' ? [1, 2, 3, 5, 7, 8] : [1, 2, 4, 6, 7, 9, 10, 11]) {
    test(`${side} is killed after write ${after}`, async (t) => {
      const made = await two(t);
      /** @type {Record<string, import('../src/peer.js').Peer>} */
      const peers = { hirer: await made.hirer(), provider: await made.provider() };
      const { store } = peers[side];
      const add = store.add.bind(store);
      let writes = 0;
      let killed = false;
      store.add = (...entries) => {
        add(...entries);
        writes += 1;
        if (writes === after) {
          killed = true;
          peers[side].kill();
          throw new Error('killed');
        }
      };
      const { port } = peers[side];
      const order = made.order(peers.provider);
      const hire = await peers.hirer.hire(order).catch(() => undefined);
      await until(() => killed);
      await Promise.allSettled([...peers[side].conversations.values()].map((one) => one.queue));
      store.close();
      peers[side] = await made[side]({ port });
      const id = hire?.id ?? [...peers.hirer.conversations.keys()][0];
      await whole(peers.hirer, peers.provider, id);
      await Promise.all([peers.hirer.stop(), peers.provider.stop()]);
    });
  }
}
