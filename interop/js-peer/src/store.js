/** What outlives the process: one file that only grows, each entry on disk before anything is sent or acknowledged (HIRE-CHN-07). */
import { closeSync, existsSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync, readSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { digestOfBytes } from './encoding.js';
import { HireError } from './errors.js';

const CHUNK = 1 << 20;
const DIGEST = /^uEi[A-Za-z0-9_-]{44}$/;

/** @typedef {{at: number, entries: any[]}} Line entries that were added together, and where they stand */

/** Has the names in a folder on disk. @param {string} path */
function sync(path) {
  const folder = openSync(path, 'r');
  fsyncSync(folder);
  closeSync(folder);
}

export class Store {
  /** @param {string} folder */
  constructor(folder) {
    this.folder = folder;
    for (const name of ['artifacts', 'past']) mkdirSync(join(folder, name), { recursive: true, mode: 0o700 });
    this.file = openSync(join(folder, 'journal.jsonl'), 'a+', 0o600);
    sync(folder);
    this.size = 0;
    this.last = 0;
    this.full = false;
  }

  /** What was added before, line by line: of a journal of any size no more than a line is held. A last line that was not written whole was never acted upon, and is cut off. @returns {Generator<Line>} */
  *lines() {
    const chunk = Buffer.alloc(CHUNK);
    let [rest, at] = [Buffer.alloc(0), 0];
    for (let read = 0, size = 1; size > 0; read += size) {
      size = readSync(this.file, chunk, 0, CHUNK, read);
      rest = Buffer.concat([rest, chunk.subarray(0, size)]);
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        const line = { at, entries: this.#seen(JSON.parse(rest.subarray(0, end).toString())) };
        at += end + 1;
        rest = rest.subarray(end + 1);
        yield line;
      }
    }
    if (rest.length) ftruncateSync(this.file, at);
    this.size = at;
  }

  /** @param {any[]} entries */
  #seen(entries) {
    for (const entry of entries) this.last = Math.max(this.last, entry.at ?? 0);
    return entries;
  }

  /** Those that stand at these places. @param {number[]} places @returns {Line[]} */
  linesAt(places) {
    return places.map((at) => {
      let bytes = Buffer.alloc(0);
      for (let end = -1; end < 0; end = bytes.indexOf(10)) {
        const chunk = Buffer.alloc(CHUNK / 16);
        const size = readSync(this.file, chunk, 0, chunk.length, at + bytes.length);
        if (size === 0) throw new HireError('store_corrupt', `no line at ${at}`);
        bytes = Buffer.concat([bytes, chunk.subarray(0, size)]);
      }
      return { at, entries: JSON.parse(bytes.subarray(0, bytes.indexOf(10)).toString()) };
    });
  }

  /** Adds entries, all or none, and returns once they are on disk. @param {...any} entries @returns {number} where they stand */
  add(...entries) {
    if (this.full) throw new HireError('store_unavailable', 'a write failed before');
    const bytes = Buffer.from(`${JSON.stringify(entries)}\n`);
    try {
      if (writeSync(this.file, bytes) !== bytes.length) throw new Error('not written whole');
      fsyncSync(this.file);
    } catch (error) {
      this.#takeBack();
      throw new HireError('store_unavailable', String(error));
    }
    this.#seen(entries);
    this.size += bytes.length;
    return this.size - bytes.length;
  }

  /** Leaves what was added before, such as on a full disk, on which there may be room again. Where that fails, what is on disk is known only once it is read again. */
  #takeBack() {
    this.full = true;
    try {
      ftruncateSync(this.file, this.size);
      fsyncSync(this.file);
      this.full = false;
    } catch { /* it stays so */ }
  }

  /** Keeps a value that is put away, by a name. @param {string} name @param {any} value */
  putAway(name, value) { this.#write(this.#past(name), Buffer.from(JSON.stringify(value))); }

  /** @param {string} name @returns {any} what was put away under it; undefined if nothing was */
  past(name) {
    const path = this.#past(name);
    return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
  }

  /** @param {string} name of any form: others choose it */
  #past(name) { return join(this.folder, 'past', digestOfBytes(name)); }

  /** @param {Uint8Array} bytes @returns {string} its digest */
  put(bytes) {
    const name = digestOfBytes(bytes);
    const path = join(this.folder, 'artifacts', name);
    if (!existsSync(path) || digestOfBytes(readFileSync(path)) !== name) this.#write(path, bytes);
    return name;
  }

  /** @param {string} path @param {Uint8Array} bytes */
  #write(path, bytes) {
    try {
      const file = openSync(`${path}.new`, 'w', 0o600);
      try {
        writeFileSync(file, bytes);
        fsyncSync(file);
      } finally { closeSync(file); }
      renameSync(`${path}.new`, path);
      sync(dirname(path)); // the journal names it next: it has to be there after a power cut
    } catch (error) { throw new HireError('store_unavailable', String(error)); }
  }

  /** @param {string} digest @returns {Buffer} */
  get(digest) {
    if (!DIGEST.test(digest)) throw new HireError('bad_path', 'no digest');
    let bytes;
    try { bytes = readFileSync(join(this.folder, 'artifacts', digest)); } catch { throw new HireError('not_found', digest); }
    if (digestOfBytes(bytes) !== digest) throw new HireError('digest_mismatch', digest);
    return bytes;
  }

  close() { closeSync(this.file); }
}
