/** The time of this peer (page 10, section 10.2). */

const JUMP = 3600;
/** By more than so many seconds no proof of one side holds for the other. */
const SKEW = 60;
const BETWEEN = 5;

/** Readings of a clock, of which one that is more than an hour ahead is believed once another one, five seconds later, says so too (HIRE-CLK-02): what was believed is written, and time never runs back. */
export class Clock {
  /** @param {() => number} [wall] seconds since 1970 @param {() => number} [passed] seconds that only grow */
  constructor(wall = () => Date.now() / 1000, passed = () => performance.now() / 1000) {
    this.wall = wall;
    this.passed = passed;
    this.read = { wall: wall(), passed: passed() };
    /** @type {number | undefined} since when it is ahead */
    this.ahead = undefined;
  }

  /** @returns {number} whole seconds since 1970 */
  now() {
    const [wall, passed] = [this.wall(), this.passed()];
    const expected = this.read.wall + passed - this.read.passed;
    if (wall > expected + JUMP) {
      this.ahead ??= passed;
      if (passed < this.ahead + BETWEEN) return Math.floor(expected);
    }
    this.ahead = undefined;
    this.read = { wall, passed };
    return Math.floor(wall);
  }
}

/**
 * For an operator, after what was refused for want of a proof: how far our clock is from that of the server that called the time `date`. Empty where proofs hold all
 * the same, or it named no time; nobody signed it. @param {string | undefined} date @param {number} now by our clock then @returns {string}
 */
export function clocksApart(date, now) {
  const ahead = now - Date.parse(date ?? '') / 1000;
  if (!(Math.abs(ahead) > SKEW)) return '';
  return `. Our clock is ${Math.abs(ahead)} s ${ahead > 0 ? 'ahead of' : 'behind'} theirs: with more than ${SKEW} s between them no proof of one holds for the other`;
}
