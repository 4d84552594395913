/** The strict reader of page 04, section 4.1: one text, one meaning. */
import { escaped, HireError } from './errors.js';

export const MESSAGE_BYTES = 256 * 1024;
const [DEPTH, FOREIGN_DEPTH] = [16, 32];
/** Of one object and one list (page 10, section 10.4). */
const [MEMBERS, FOREIGN_MEMBERS, ITEMS] = [256, 1024, 4096];
/** Characters of a text and of a name; a document that others define is bounded by its bytes. */
const TEXT = 131072;
/** Where a proof stands in a message. */
const PROOFS = ['proof', 'document/proof', 'presentation/proof', 'contractProof'];
const NONCHARACTER = /[\p{Noncharacter_Code_Point}]/u;
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const NUMBER_LENGTH = 400;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const SPACE = /[ \t\n\r]*/y;
const ESCAPES = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/**
 * @param {Uint8Array} bytes
 * @param {{limit?: number, depth?: number, foreign?: boolean}} [options] `foreign`: a document that others define,
 *   where null, fractions, control characters but U+0000, names outside ASCII and more containers are allowed
 * @returns {Record<string, any>}
 */
export function readJson(bytes, { limit = MESSAGE_BYTES, foreign = false, depth = foreign ? FOREIGN_DEPTH : DEPTH } = {}) {
  if (bytes.length > limit) throw new HireError('too_large', `${bytes.length} bytes`);
  let text;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new HireError('bad_unicode', 'not UTF-8');
  }
  if (text.includes('\0')) throw new HireError('bad_unicode', 'a wider encoding'); // nowhere in JSON in UTF-8, and in nearly all in UTF-16
  if (text.startsWith('\ufeff')) throw new HireError('bad_unicode', 'a byte order mark');
  const reader = new Reader(text, depth, foreign);
  const value = reader.whole();
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new HireError('bad_json', 'not an object');
  return value;
}

class Reader {
  /** @param {string} text @param {number} depth @param {boolean} foreign */
  constructor(text, depth, foreign) {
    this.text = text;
    this.at = 0;
    this.depth = depth;
    this.foreign = foreign;
    this.members = foreign ? FOREIGN_MEMBERS : MEMBERS;
    /** @type {(string|number)[]} */
    this.path = [];
  }

  bad(code = 'bad_json', says = `at ${this.at}`) {
    return new HireError(code, says, this.path.map((part) => `/${escaped(part)}`).join(''));
  }

  space() {
    SPACE.lastIndex = this.at;
    SPACE.exec(this.text);
    this.at = SPACE.lastIndex;
  }

  /** @param {string} mark */
  expect(mark) {
    if (this.text[this.at] !== mark) throw this.bad();
    this.at += 1;
  }

  whole() {
    const value = this.value(0);
    if (this.at !== this.text.length) throw this.bad();
    return value;
  }

  /** @param {number} depth @returns {any} */
  value(depth) {
    this.space();
    const mark = this.text[this.at];
    let value;
    if (mark === '{' || mark === '[') {
      if (depth + 1 > this.depth) throw this.bad('too_deep');
      value = mark === '{' ? this.object(depth + 1) : this.array(depth + 1);
    } else if (mark === '"') value = this.string();
    else if (this.word('true')) value = true;
    else if (this.word('false')) value = false;
    else if (this.word('null')) {
      if (!this.foreign) throw this.bad(PROOFS.includes(this.path.join('/')) ? 'proof_missing' : 'bad_json', 'null');
      value = null;
    } else value = this.number();
    this.space();
    return value;
  }

  /** @param {string} word */
  word(word) {
    if (!this.text.startsWith(word, this.at)) return false;
    this.at += word.length;
    return true;
  }

  /** @param {number} depth */
  object(depth) {
    /** @type {Record<string, any>} */
    const found = Object.create(null);
    this.expect('{');
    this.space();
    if (this.text[this.at] === '}') { this.at += 1; return { ...found }; }
    for (let count = 1; ; count += 1) {
      this.space();
      const name = this.string();
      if (!this.foreign && /[^\x00-\x7f]/.test(name)) throw this.bad('bad_unicode', 'a name outside ASCII');
      if (name in found) throw this.bad('bad_json', 'a name twice');
      if (count > this.members) throw this.bad('too_large', `more than ${this.members} members`);
      this.space();
      this.expect(':');
      this.path.push(name);
      found[name] = this.value(depth);
      this.path.pop();
      if (this.text[this.at] === '}') { this.at += 1; return toObject(found); }
      this.expect(',');
    }
  }

  /** @param {number} depth */
  array(depth) {
    /** @type {any[]} */
    const found = [];
    this.expect('[');
    this.space();
    if (this.text[this.at] === ']') { this.at += 1; return found; }
    for (;;) {
      if (found.length === ITEMS) throw this.bad('too_large', `more than ${ITEMS} items`);
      this.path.push(found.length);
      found.push(this.value(depth));
      this.path.pop();
      if (this.text[this.at] === ']') { this.at += 1; return found; }
      this.expect(',');
    }
  }

  string() {
    this.expect('"');
    let value = '';
    for (;;) {
      PLAIN.lastIndex = this.at;
      value += /** @type {RegExpExecArray} */ (PLAIN.exec(this.text))[0];
      this.at = PLAIN.lastIndex;
      const mark = this.text[this.at];
      if (mark === undefined) throw this.bad();
      this.at += 1;
      if (mark === '"') break;
      if (mark !== '\\') throw this.bad('bad_unicode', 'a control character');
      value += this.escape();
    }
    if (!this.foreign && value.length > TEXT && [...value].length > TEXT) throw this.bad('too_large', `a text of more than ${TEXT} characters`);
    const control = this.foreign ? value.includes('\u0000') : CONTROL.test(value);
    if (control || !value.isWellFormed() || NONCHARACTER.test(value)) throw this.bad('bad_unicode', 'a character that is not allowed');
    return value;
  }

  escape() {
    const mark = this.text[this.at];
    this.at += 1;
    if (mark === 'u') {
      const hex = this.text.slice(this.at, this.at + 4);
      if (!/^[0-9a-fA-F]{4}$/.test(hex)) throw this.bad();
      this.at += 4;
      return String.fromCharCode(parseInt(hex, 16));
    }
    const plain = ESCAPES[/** @type {keyof typeof ESCAPES} */ (mark)];
    if (plain === undefined) throw this.bad();
    return plain;
  }

  number() {
    NUMBER.lastIndex = this.at;
    const match = NUMBER.exec(this.text);
    if (!match || /[0-9.eE+-]/.test(this.text[NUMBER.lastIndex] ?? '')) throw this.bad();
    const text = match[0];
    this.at = NUMBER.lastIndex;
    const whole = !/[.eE]/.test(text);
    const value = text.length > (whole ? 17 : NUMBER_LENGTH) ? NaN : Number(text);
    const exact = whole ? Number.isSafeInteger(value) : this.foreign && Number.isFinite(value);
    if (!exact || Object.is(value, -0)) throw this.bad('number_out_of_range');
    return value;
  }
}

/** @param {Record<string, any>} found an object without prototype, so that no name of it is special */
function toObject(found) {
  /** @type {Record<string, any>} */
  const plain = {};
  for (const name of Object.keys(found)) Object.defineProperty(plain, name, { value: found[name], writable: true, enumerable: true, configurable: true });
  return plain;
}
