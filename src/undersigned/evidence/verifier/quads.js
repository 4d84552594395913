// Canonical N-Quads (RDFC-1.0) of documents in the hire context, straight from their members: 04, section 4.7. Every node
// has an id, nested values are JSON literals, so only the options of a proof and the proofs of a chain have labels.

const CONTEXT = "https://w3id.org/hire/v1";
const RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
const OWN_GRAPH = " _:a .\n";
const ESCAPES = { "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r" };

const unknown = (name, path) => new Refused(codeOfUnknown(name), "expected terms of the hire context", path);
const misshapen = (text, path) => new Refused("schema_violation", `expected ${text}`, path);

function escaped(text) {
  const quoted = text.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
  return quoted.replace(/[\x00-\x1f\x7f\ufffe\uffff]/g, (c) => ESCAPES[c] ?? `\\u${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`);
}

function iri(value, path) {
  if (typeof value !== "string" || !/^[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>"{}|^`\\]*$/.test(value)) throw misshapen("an absolute IRI", path);
  return `<${value}>`;
}

/** The canonical N-Quads; `hash` decides labels only where two proofs or more are built on. */
async function quadsOf(document, hash) {
  const lines = [];
  if (document["@context"] !== CONTEXT) throw new Refused("context_not_allowed", `expected @context ${CONTEXT}`, "/@context");
  if (document.type === "DataIntegrityProof") {
    optionQuads(document.id === undefined ? "_:c14n0" : iri(document.id, "/id"), document, " .\n", lines, "");
  } else {
    if (!has(document, "type")) throw misshapen("a document with a type", "/type");
    const subject = nodeQuads(document, lines, "", new Set(), 0);
    if (has(document, "proof")) await previousQuads(subject, document.proof, lines, hash);
  }
  return encode(lines.sort(codePointOrder).join(""));
}

function nodeQuads(node, lines, path, ids, depth) {
  const subject = iri(node.id, `${path}/id`);
  if (ids.has(subject) || depth > 8 || Object.keys(node).length < 2) throw misshapen("a node with an id of its own and members", path);
  ids.add(subject);
  for (const [name, value] of Object.entries(node)) {
    if (name === "id" || (depth === 0 && (name === "@context" || name === "proof"))) continue;
    const place = `${path}/${name}`;
    if (name === "type") {
      if (typeof value !== "string" || !has(DATA.context.types, value)) throw misshapen("a known type", place);
      lines.push(`${subject} <${RDF}type> ${DATA.context.types[value]} .\n`);
      continue;
    }
    const term = has(DATA.context.terms, name) ? DATA.context.terms[name] : undefined;
    if (!term) throw unknown(name, place);
    const objects =
      term.shape === "node" || term.shape === "nodes"
        ? innerNodes(value, term.shape, place).map(([inner, one]) => nodeQuads(one, lines, inner, ids, depth + 1))
        : term.shape === "texts"
          ? texts(value, place).map((text) => `"${escaped(text)}"`)
          : [objectOf(term, value, place)];
    for (const object of objects) lines.push(`${subject} ${term.predicate} ${object} .\n`);
  }
  return subject;
}

function objectOf(term, value, path) {
  const { shape, datatype } = term;
  if (shape === "json") return `"${escaped(canonicalText(value))}"^^<${RDF}JSON>`;
  if (typeof value === "string") {
    if (shape === "text" || shape === "typed") return `"${escaped(value)}"${datatype}`;
    if (shape === "iri") return iri(value, path);
    if (shape === "vocab") {
      if (has(term.words, value)) return term.words[value];
      if (term.vocab && /^[A-Za-z][A-Za-z0-9-]*$/.test(value)) return `<${term.vocab}${value}>`;
    }
  } else if (Number.isSafeInteger(value) && shape === "integer") return `"${value}"${datatype}`;
  else if (typeof value === "boolean" && shape === "boolean") return `"${value}"${datatype}`;
  throw misshapen(shape, path);
}

function innerNodes(value, shape, path) {
  if (shape === "node") {
    if (!isObject(value)) throw misshapen("an object with an id", path);
    return [[path, value]];
  }
  if (!Array.isArray(value) || !value.length) throw misshapen("an array of at least one object with an id", path);
  const ids = value.map((inner) => (isObject(inner) ? inner.id : undefined));
  if (!ids.every((id) => typeof id === "string") || !isSortedSet(ids)) throw misshapen("objects sorted by id", path);
  return value.map((inner, place) => [`${path}/${place}`, inner]);
}

function texts(value, path) {
  const fits = Array.isArray(value) && value.length && value.every((item) => typeof item === "string") && isSortedSet(value);
  if (!fits) throw misshapen("an array of text, sorted, without repeats", path);
  return value;
}

function optionQuads(subject, proof, end, lines, path) {
  for (const [name, value] of Object.entries(proof)) {
    if (name === "id" || name === "@context") continue;
    const place = `${path}/${name}`;
    if (name === "type") {
      if (value !== "DataIntegrityProof") throw misshapen("a DataIntegrityProof", place);
      lines.push(`${subject} <${RDF}type> <https://w3id.org/security#DataIntegrityProof>${end}`);
      continue;
    }
    const term = has(DATA.context.options, name) ? DATA.context.options[name] : undefined;
    if (!term) throw unknown(name, place);
    const items = name === "previousProof" && Array.isArray(value) ? [...new Set(value)] : [value];
    for (const item of items) lines.push(`${subject} ${term.predicate} ${objectOf(term, item, place)}${end}`);
  }
}

/** The proofs that a chain builds on, each in a graph whose label goes by the hash of what is said in it. */
async function previousQuads(subject, proofs, lines, hash) {
  const graphs = [];
  for (const [at, proof] of proofs.entries()) {
    const mine = [`${subject} ${DATA.context.proof}${OWN_GRAPH}`];
    optionQuads(iri(proof.id, `/proof/${at}/id`), proof, OWN_GRAPH, mine, `/proof/${at}`);
    mine.sort(codePointOrder);
    graphs.push([hex(await hash(encode(mine.join("")))), mine]);
  }
  graphs.sort(([one], [other]) => inOrder(one, other));
  graphs.forEach(([, mine], label) => lines.push(...mine.map((line) => `${line.slice(0, -OWN_GRAPH.length)} _:c14n${label} .\n`)));
}
