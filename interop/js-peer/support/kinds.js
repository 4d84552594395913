/** What inputs of the kinds that vectors have come to, as JSON: `[{kind, input, case}]`, `input` a text, to `[{…}]`, each with its `code` if it is refused. */
import { readFileSync } from 'node:fs';
import { kinds } from './vectors.js';

const found = [];
for (const { kind, input, case: of } of JSON.parse(readFileSync(0).toString())) found.push(await kinds[kind](Buffer.from(input), of, [], {}));
process.stdout.write(JSON.stringify(found));
