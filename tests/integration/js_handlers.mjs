// Work for the tests in test_js_peer.py.
import { existsSync } from 'node:fs';

export const handlers = {
  // Goes on until a file in the folder of its peer says that it may end.
  slow: {
    delivers: 'summary.txt',
    mediaType: 'text/plain',
    async run(job) {
      const [first] = (await job.read('report')).toString().split('\n');
      while (!existsSync(`${job.conversation.peer.store.folder}/may-end`)) await new Promise((resolve) => { setTimeout(resolve, 50); });
      job.deliver('summary.txt', first, 'text/plain');
    },
  },
  // Does one thing that needs a person's yes, and then one that nobody allows.
  order: {
    delivers: 'answers.txt',
    mediaType: 'text/plain',
    async run(job) {
      const answers = [];
      for (const EUR of ['0.5', '90']) {
        try {
          const { clause } = await job.act({ name: 'order:place', target: 'https://shop.example/orders', amounts: { EUR } });
          answers.push(`${EUR} by ${clause}`);
        } catch (error) { answers.push(`${EUR}: ${error.code}`); }
      }
      job.deliver('answers.txt', answers.join(', '), 'text/plain');
    },
  },
  // Asks for what no statement can hold as it is.
  odd: {
    delivers: 'answers.txt',
    mediaType: 'text/plain',
    async run(job) {
      const target = 'https://shop.example/orders';
      const asked = [
        { name: '', target }, { name: 'a'.repeat(3000), target }, { name: 'order:\0\ud800', target }, { name: 'order:place', target: '' },
        { name: 'order:place', target: `${target}/\0` }, { name: 'order:place', target: `${target}/${'a'.repeat(3000)}` },
        { name: 'order:cancel', target, amounts: Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`${at}${'u'.repeat(80)}`, 'x'.repeat(200)])) },
        { name: 'order:cancel', target, amounts: { EUR: 5 }, facts: { region: 5 } }, { name: 5, target }, { name: 'order:place' },
      ];
      const answers = [];
      for (const action of asked) {
        try { await job.act(action); } catch (error) { answers.push(error.code); }
      }
      job.deliver('answers.txt', answers.join(', '), 'text/plain');
    },
  },
};
