/** What each history on the standard input comes to, as JSON: `[{view, lines: [[message, at]]}]` to `[{state, lane, basis}]`. */
import { readFileSync } from 'node:fs';
import { Engagement } from '../src/machine.js';
import { basisOf } from '../src/owed.js';
import { seconds } from '../src/encoding.js';

const histories = JSON.parse(readFileSync(0).toString());
const found = histories.map((/** @type {any} */ { view, lines }) => {
  const engagement = new Engagement(view);
  for (const [message, at] of lines) {
    try {
      engagement.take(message, { at: seconds(at), bytes: Buffer.byteLength(JSON.stringify(message)) });
    } catch (error) {
      return { refused: message.type, code: /** @type {any} */ (error).code };
    }
  }
  const { state } = engagement;
  return { state: state.main, lane: state.lane, basis: basisOf(state) ?? null };
});
process.stdout.write(JSON.stringify(found));
