/** The messages of schemas/examples: those that are good are read, the others have the code and the place stated. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { readMessage } from '../src/message.js';
import { SPEC, specJson } from '../src/spec.js';

for (const kind of ['valid', 'invalid']) {
  for (const name of readdirSync(`${SPEC}/schemas/examples/${kind}`)) {
    test(`${kind}/${name}`, () => {
      const example = specJson(`schemas/examples/${kind}/${name}`);
      if (kind === 'valid') return void readMessage(Buffer.from(JSON.stringify(example)));
      const fault = { code: example.code, path: example.path };
      assert.throws(() => readMessage(Buffer.from(JSON.stringify(example.message))), fault);
    });
  }
}
