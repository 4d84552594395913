/** An error that has one of the codes of page 09 and, where it helps, the place in the thing refused (a JSON pointer). */
export class HireError extends Error {
  /** @param {string} code @param {string} [says] for the operator, never for a peer @param {string} [path] */
  constructor(code, says = '', path = undefined) {
    super(says ? `${code}: ${says}` : code);
    this.code = code;
    this.path = path;
  }
}

/** @param {boolean} holds @param {string} code @param {string} [says] @param {string} [path] */
export function check(holds, code, says, path) {
  if (!holds) throw new HireError(code, says, path);
}

const LONGEST_POINTER = 256;
/** The place that a peer is told, or undefined where it is none or too long to be sent (page 04, section 4.1). @param {string} [path] */
export const pathTold = (path) => (path && path.length <= LONGEST_POINTER ? path : undefined);
/** A name as it stands in a JSON pointer. @param {string | number} name */
export const escaped = (name) => String(name).replaceAll('~', '~0').replaceAll('/', '~1');
