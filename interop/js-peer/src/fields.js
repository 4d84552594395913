/** HTTP fields that hold structured values (RFC 9651), as far as signatures need them. */
import { isUtf8 } from 'node:buffer';
import { check } from './errors.js';

const ITEM = /"((?:[ !#-\[\]-~]|\\["\\])*)"|:((?:(?:[A-Za-z0-9+/]{4})*[A-Za-z0-9+/]{2,4}={0,2})?):|(-?[0-9]{1,12}\.[0-9]{1,3})(?![0-9])|(-?[0-9]{1,15})(?![0-9.])|(\?[01])|@(-?[0-9]{1,15})(?![0-9.])|%"((?:[ !#$&-~]|%[0-9a-f]{2})*)"|([A-Za-z*][A-Za-z0-9:/!#$%&'*+.^_`|~-]*)/y;
const [FIRST_DATE, LAST_DATE] = [-62135596800, 253402300799]; // of the years 1 to 9999
const KEY = /[a-z*][a-z0-9_.*-]*/y;

/**
 * @typedef {string | number | Uint8Array | boolean | {other: string}} Bare text, whole number, bytes, boolean; anything else as it is written
 * @typedef {{value: Bare, params: [string, Bare][]}} Item
 * @typedef {{items?: Item[], value?: Bare, params: [string, Bare][]}} Member
 */

/** @param {string} text @param {string} [code] @returns {Map<string, Member>} a dictionary; no name stands twice in it */
export function readDictionary(text, code = 'proof_invalid') {
  const members = new Map();
  let at = 0;
  const bad = (/** @type {boolean} */ holds) => check(holds, code, 'field');
  const skip = (/** @type {string} */ blanks) => { while (at < text.length && blanks.includes(text[at])) at += 1; };
  const take = (/** @type {RegExp} */ shape) => {
    shape.lastIndex = at;
    const match = shape.exec(text);
    bad(match !== null);
    at = shape.lastIndex;
    return /** @type {RegExpExecArray} */ (match);
  };
  /** @returns {Bare} */
  const bare = () => {
    const [, string, bytes, decimal, number, boolean, date, display, token] = take(ITEM);
    if (string !== undefined) return string.replace(/\\(["\\])/g, '$1');
    if (bytes !== undefined) return Buffer.from(bytes, 'base64');
    if (number !== undefined) return Number(number);
    if (decimal !== undefined) return { other: decimal.replace(/^-(?=[0.]+$)/, '').replace(/^(-?)0+(?=[0-9])/, '$1').replace(/(\.[0-9]+?)0+$/, '$1') };
    if (date !== undefined) {
      bad(Number(date) >= FIRST_DATE && Number(date) <= LAST_DATE);
      return { other: `@${BigInt(date)}` };
    }
    if (display !== undefined) return { other: displayText(display, bad) };
    return boolean !== undefined ? boolean === '?1' : { other: token };
  };
  /** @returns {[string, Bare][]} */
  const params = () => {
    const found = /** @type {[string, Bare][]} */ ([]);
    while (text[at] === ';') {
      at += 1;
      skip(' ');
      const [key] = take(KEY);
      bad(!found.some(([name]) => name === key));
      if (text[at] === '=') { at += 1; found.push([key, bare()]); } else found.push([key, true]);
    }
    return found;
  };
  skip(' ');
  while (at < text.length) {
    const [key] = take(KEY);
    bad(!members.has(key));
    if (text[at] !== '=') members.set(key, { value: true, params: params() });
    else if (text[at += 1] === '(') {
      at += 1;
      /** @type {Item[]} */ const items = [];
      for (skip(' '); text[at] !== ')'; skip(' ')) {
        bad(at < text.length);
        items.push({ value: bare(), params: params() });
        bad(text[at] === ' ' || text[at] === ')');
      }
      at += 1;
      members.set(key, { items, params: params() });
    } else members.set(key, { value: bare(), params: params() });
    skip(' \t');
    if (at === text.length) break;
    bad(text[at] === ',');
    at += 1;
    skip(' \t');
    bad(at < text.length);
  }
  return members;
}

/** @param {string} coded what stands between the quotes of a display string @param {(holds: boolean) => void} bad */
function displayText(coded, bad) {
  const bytes = Buffer.from(coded.replace(/%(..)/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))), 'latin1');
  bad(isUtf8(bytes));
  const written = bytes.toString('latin1').replace(/[^ !#$&-~]/g, (one) => `%${one.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `%"${written}"`;
}

/** @param {Bare} value */
function bareText(value) {
  if (typeof value === 'string') return `"${value.replace(/(["\\])/g, '\\$1')}"`;
  if (value instanceof Uint8Array) return `:${Buffer.from(value).toString('base64')}:`;
  if (typeof value === 'object') return value.other;
  return typeof value === 'boolean' ? `?${Number(value)}` : String(value);
}
/** @param {Item} item */
export const itemText = ({ value, params }) => bareText(value) + paramsText(params);
/** @param {[string, Bare][]} params */
export const paramsText = (params) => params.map(([name, value]) => `;${name}${value === true ? '' : `=${bareText(value)}`}`).join('');

/** An inner list in its only spelling, whatever white space it came with. @param {Item[]} items @param {[string, Bare][]} params */
export const listText = (items, params) => `(${items.map(itemText).join(' ')})${paramsText(params)}`;

/** @param {[string, string][]} headers @param {string} name @returns {string | undefined} all lines of a field, joined */
export function field(headers, name) {
  const found = headers.filter(([one]) => one.toLowerCase() === name).map(([, value]) => value.replace(/^[ \t]+/, '').replace(/(?<![ \t])[ \t]+$/, ''));
  return found.length ? found.join(', ') : undefined;
}
