/** A clock that jumps is read twice before anything expires by it (HIRE-CLK-02). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Clock } from '../src/clock.js';

test('a jump of more than an hour is believed at the second reading, and one that was none is forgotten', () => {
  let [wall, passed] = [1000, 0];
  const clock = new Clock(() => wall, () => passed);
  const at = (/** @type {number} */ newWall, /** @type {number} */ newPassed) => { [wall, passed] = [newWall, newPassed]; return clock.now(); };
  assert.equal(at(1010.5, 10), 1010);
  assert.equal(at(1000, 11), 1000); // set back: what never runs back is the peer's affair
  assert.equal(at(4600, 12), 4600); // an hour and no more
  assert.equal(at(90000, 13), 4601);
  assert.equal(at(90000, 13.9), 4601);
  assert.equal(at(4602, 14), 4602); // it was none
  assert.equal(at(90000, 15), 4603);
  assert.equal(at(90004, 19), 4607); // a clock that is wrong for some seconds, as after a sleep
  assert.equal(at(90005, 20), 90005);
  assert.equal(at(99005, 9020), 99005); // time that passed is no jump
});
