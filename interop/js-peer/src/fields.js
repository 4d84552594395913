/** HTTP fields that hold structured values (RFC 8941), as far as signatures need them. */
import { check } from './errors.js';

const ITEM = /"((?:[ !#-\[\]-~]|\\["\\])*)"|:([A-Za-z0-9+/]*={0,2}):|(-?[0-9]{1,15})|(\?[01])|([A-Za-z*][A-Za-z0-9:/!#$%&'*+.^_`|~-]*)/y;
const KEY = /[a-z*][a-z0-9_.*-]*/y;

/**
 * @typedef {string | number | Uint8Array | boolean} Bare
 * @typedef {{value: Bare, params: [string, Bare][]}} Item
 * @typedef {{items?: Item[], value?: Bare, params: [string, Bare][], text: string}} Member
 */

/** @param {string} text @param {string} [code] @returns {Map<string, Member>} a dictionary, each member with its own text */
export function readDictionary(text, code = 'proof_invalid') {
  const members = new Map();
  let at = 0;
  const bad = (/** @type {boolean} */ holds) => check(holds, code, 'field');
  const skip = () => { while (text[at] === ' ' || text[at] === '\t') at += 1; };
  const take = (/** @type {RegExp} */ shape) => {
    shape.lastIndex = at;
    const match = shape.exec(text);
    bad(match !== null);
    at = shape.lastIndex;
    return /** @type {RegExpExecArray} */ (match);
  };
  /** @returns {Bare} */
  const bare = () => {
    const [, string, bytes, number, boolean, token] = take(ITEM);
    if (string !== undefined) return string.replace(/\\(["\\])/g, '$1');
    if (bytes !== undefined) return Buffer.from(bytes, 'base64');
    if (number !== undefined) return Number(number);
    return boolean !== undefined ? boolean === '?1' : token;
  };
  /** @returns {[string, Bare][]} */
  const params = () => {
    const found = /** @type {[string, Bare][]} */ ([]);
    while (text[at] === ';') {
      at += 1;
      skip();
      const [key] = take(KEY);
      bad(!found.some(([name]) => name === key));
      if (text[at] === '=') { at += 1; found.push([key, bare()]); } else found.push([key, true]);
    }
    return found;
  };
  skip();
  while (at < text.length) {
    const [key] = take(KEY);
    bad(!members.has(key));
    bad(text[at] === '=');
    at += 1;
    const begins = at;
    if (text[at] === '(') {
      at += 1;
      /** @type {Item[]} */ const items = [];
      for (skip(); text[at] !== ')'; skip()) {
        bad(at < text.length);
        items.push({ value: bare(), params: params() });
      }
      at += 1;
      members.set(key, { items, params: params(), text: '' });
    } else members.set(key, { value: bare(), params: params(), text: '' });
    members.get(key).text = text.slice(begins, at);
    skip();
    if (at === text.length) break;
    bad(text[at] === ',');
    at += 1;
    skip();
    bad(at < text.length);
  }
  return members;
}

/** @param {Bare} value */
const bareText = (value) => (typeof value === 'string' ? `"${value.replace(/(["\\])/g, '\\$1')}"` : value instanceof Uint8Array ? `:${Buffer.from(value).toString('base64')}:` : value === true ? '' : String(value));
/** @param {Item} item */
export const itemText = ({ value, params }) => bareText(value) + paramsText(params);
/** @param {[string, Bare][]} params */
export const paramsText = (params) => params.map(([name, value]) => `;${name}${value === true ? '' : `=${bareText(value)}`}`).join('');

/** @param {[string, string][]} headers @param {string} name @returns {string | undefined} all lines of a field, joined */
export function field(headers, name) {
  const found = headers.filter(([one]) => one.toLowerCase() === name).map(([, value]) => value.trim());
  return found.length ? found.join(', ') : undefined;
}
