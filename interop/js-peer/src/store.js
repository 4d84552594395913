/** What outlives the process: one file that only grows, each entry on disk before anything is sent or acknowledged (HIRE-CHN-07). */
import { closeSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { digestOfBytes } from './encoding.js';
import { HireError } from './errors.js';

export class Store {
  /** @param {string} folder */
  constructor(folder) {
    this.folder = folder;
    mkdirSync(join(folder, 'artifacts'), { recursive: true, mode: 0o700 });
    this.file = openSync(join(folder, 'journal.jsonl'), 'a+', 0o600);
    /** @type {any[]} */
    this.entries = this.#read();
    this.last = this.entries.reduce((latest, { at }) => Math.max(latest, at ?? 0), 0);
    this.full = false;
  }

  /** Entries of before. A last line that was not written whole was never acted upon, and is cut off. */
  #read() {
    const text = readFileSync(join(this.folder, 'journal.jsonl'), 'utf8');
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    if (whole.length < text.length) ftruncateSync(this.file, Buffer.byteLength(whole));
    return whole.split('\n').filter(Boolean).flatMap((line) => JSON.parse(line));
  }

  /** Adds entries, all or none, and returns once they are on disk. @param {...any} entries */
  add(...entries) {
    if (this.full) throw new HireError('store_unavailable', 'a write failed before');
    const bytes = Buffer.from(`${JSON.stringify(entries)}\n`);
    try {
      if (writeSync(this.file, bytes) !== bytes.length) throw new HireError('store_full', 'journal');
      fsyncSync(this.file);
    } catch (error) {
      this.full = true; // what is on disk now is known only when it is read again
      throw new HireError('store_unavailable', String(error));
    }
    for (const entry of entries) this.last = Math.max(this.last, entry.at ?? 0);
  }

  /** @param {Uint8Array} bytes @returns {string} its digest */
  put(bytes) {
    const name = digestOfBytes(bytes);
    const path = join(this.folder, 'artifacts', name);
    const file = openSync(`${path}.new`, 'w', 0o600);
    writeFileSync(file, bytes);
    fsyncSync(file);
    closeSync(file);
    renameSync(`${path}.new`, path);
    return name;
  }

  /** @param {string} digest @returns {Buffer} */
  get(digest) {
    if (!/^uEi[A-Za-z0-9_-]{44}$/.test(digest)) throw new HireError('bad_path', 'no digest');
    let bytes;
    try { bytes = readFileSync(join(this.folder, 'artifacts', digest)); } catch { throw new HireError('not_found', digest); }
    if (digestOfBytes(bytes) !== digest) throw new HireError('digest_mismatch', digest);
    return bytes;
  }

  close() { closeSync(this.file); }
}
