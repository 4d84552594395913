// Merkle proofs, checkpoints and cosignatures: 08, sections 8.4 and 8.5; RFC 9162; C2SP signed-note, tlog-checkpoint and
// tlog-cosignature.

const noProof = (text) => new Refused("log_proof_invalid", text);

const leafHash = (leaf) => sha256(concat([0], leaf));
const nodeHash = (left, right) => sha256(concat([1], left, right));

async function verifyInclusion(proof, root) {
  const { index, size } = proof;
  if (!(index >= 0 && index < size)) throw noProof(`leaf ${index} is not in a tree of ${size} leaves`);
  let value = rawDigest(proof.leaf, "log_proof_invalid");
  let [place, last] = [BigInt(index), BigInt(size) - 1n];
  for (const sibling of proof.path.map((one) => rawDigest(one, "log_proof_invalid"))) {
    if (last === 0n) throw noProof("the inclusion proof is longer than its tree is high");
    if (place & 1n || place === last) {
      value = await nodeHash(sibling, value);
      while (!(place & 1n) && place) [place, last] = [place >> 1n, last >> 1n];
    } else value = await nodeHash(value, sibling);
    [place, last] = [place >> 1n, last >> 1n];
  }
  if (last !== 0n || !same(value, root)) throw noProof("the inclusion proof does not lead to the root");
}

/** The tree of `old` leaves is a prefix of the one of `size` (RFC 9162, section 2.1.4.2). */
async function verifyConsistency(old, oldRoot, size, root, path) {
  if (!(old >= 0 && old <= size)) throw noProof(`a tree of ${size} leaves does not continue one of ${old}`);
  const hashes = path.map((one) => rawDigest(one, "log_proof_invalid"));
  if (old === 0 || old === size) {
    const empty = await sha256(new Uint8Array());
    if (hashes.length) throw noProof("the consistency proof is longer than these sizes need");
    if ((!old && !same(oldRoot, empty)) || (old === size && !same(oldRoot, root))) throw noProof(`two trees of ${old} leaves have different roots`);
    return;
  }
  let [first, last] = [BigInt(old) - 1n, BigInt(size) - 1n];
  if ((BigInt(old) & first) === 0n) hashes.unshift(oldRoot);
  if (!hashes.length) throw noProof("the consistency proof is empty");
  while (first & 1n) [first, last] = [first >> 1n, last >> 1n];
  let [before, after] = [hashes[0], hashes[0]];
  for (const hash of hashes.slice(1)) {
    if (last === 0n) throw noProof("the consistency proof is longer than these sizes need");
    if (first & 1n || first === last) {
      [before, after] = [await nodeHash(hash, before), await nodeHash(hash, after)];
      while (!(first & 1n) && first) [first, last] = [first >> 1n, last >> 1n];
    } else after = await nodeHash(after, hash);
    [first, last] = [first >> 1n, last >> 1n];
  }
  if (last !== 0n || !same(before, oldRoot) || !same(after, root)) throw noProof(`the tree of ${size} leaves does not continue the one of ${old}`);
}

function readInclusion(value) {
  const names = isObject(value) ? Object.keys(value).sort().join() : "";
  const fits = names === "index,leaf,path,size" && typeof value.leaf === "string" && Array.isArray(value.path);
  if (!fits || ![value.index, value.size].every(Number.isSafeInteger) || !value.path.every((one) => typeof one === "string")) {
    throw noProof("not an inclusion proof");
  }
  return value;
}

/** Text and signature lines of a note; nothing is verified. */
function readNote(note) {
  if (encode(note).length > 16384) throw noProof("a note has at most 16384 bytes");
  const cut = note.lastIndexOf("\n\n");
  if (cut < 0 || !note.endsWith("\n")) throw noProof("a note has an empty line before its signatures and ends with a newline");
  const lines = note.slice(cut + 2, -1).split("\n");
  if (lines.length > 32) throw noProof("a note has at most 32 signatures");
  if (/[\x00-\x09\x0b-\x1f]/.test(note)) throw noProof("a note has no control characters");
  const signatures = lines.map((line) => {
    const parts = line.slice(2).split(" ");
    if (!line.startsWith("\u2014 ") || parts.length !== 2 || !isLogName(parts[0])) throw noProof("a signature line is a dash, a key name and a signature");
    const data = fromBase64(parts[1], "log_proof_invalid");
    if (data.length < 5) throw noProof("a signature line holds a key hash and a signature");
    return { name: parts[0], hint: data.subarray(0, 4), data: data.subarray(4) };
  });
  return { text: encode(note.slice(0, cut + 1)), signatures };
}

/** By no property of Unicode, of which each version has another. */
const isLogName = (name) => /^[^+\x00-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]{1,1024}$/u.test(name);

/** SHA-256 of nothing (RFC 9162, section 2.1.1). */
const EMPTY_ROOT = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

function readCheckpoint(text) {
  const lines = utf8(text, "log_proof_invalid").split("\n");
  if (lines.length < 4 || lines.at(-1) !== "" || lines.slice(0, -1).includes("")) throw noProof("a checkpoint has three lines or more");
  const [origin, count, root] = lines;
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(count) || !Number.isSafeInteger(Number(count))) throw noProof("not the size of a log");
  const hash = fromBase64(root, "log_proof_invalid");
  if (hash.length !== 32) throw noProof("the root of a checkpoint has 32 bytes");
  if (count === "0" && root !== EMPTY_ROOT) throw noProof("a log without leaves has the root of the empty tree");
  return { origin, size: Number(count), root: hash };
}

const keyHint = async (name, type, key) => (await sha256(concat(encode(name), [10, type], key.raw))).subarray(0, 4);

/** The key of a witness in its one line, name, hash and key (C2SP signed-note): whom it names, and the hint in its lines. */
async function readVerifier(text) {
  const [name, hash, ...rest] = text.split("+");
  const data = fromBase64(rest.join("+"), "log_proof_invalid");
  if (!isLogName(name) || data[0] !== 4) throw noProof(`expected name+hash+key of a witness; came ${shown(text)}`);
  const key = keyOf("Ed25519", data.subarray(1));
  const hint = await keyHint(name, 4, key);
  if (hash !== [...hint].map((byte) => byte.toString(16).padStart(2, "0")).join("")) throw noProof(`the hash in ${shown(text)} is of another name or key`);
  return { name, key, hint };
}

/** The one signature line by this name and key. */
async function lineBy(note, name, type, key) {
  const hint = await keyHint(name, type, key);
  const found = note.signatures.filter((one) => one.name === name && same(one.hint, hint));
  const what = type === 4 ? "cosignatures" : "signatures";
  if (found.length !== 1) throw noProof(`the note carries ${found.length} ${what} by ${name}, not one`);
  return found[0].data;
}

async function checkSignature(key, signature, signed, what) {
  const holds = await key.holds(signature, signed);
  if (holds === undefined) unchecked.add("signatures of Ed25519: this browser does not know them");
  if (holds === false) throw noProof(`${what} does not verify`);
}

async function verifyNote(note, key, name) {
  const read = readNote(note);
  const checkpoint = readCheckpoint(read.text);
  await checkSignature(key, await lineBy(read, name, 1, key), read.text, `the note's signature by ${name}`);
  return checkpoint;
}

/** The checkpoint in a note with one cosignature by this name and key, and when that was made (`at`). */
async function verifyCosignature(note, key, name) {
  const read = readNote(note);
  const data = await lineBy(read, name, 4, key);
  if (data.length !== 72) throw noProof(`a cosignature has 72 bytes; the one by ${name} has ${data.length}`);
  const at = bigEndian(data.subarray(0, 8));
  const signed = concat(encode(`cosignature/v1\ntime ${at}\n`), read.text);
  await checkSignature(key, data.subarray(8), signed, `the cosignature by ${name}`);
  return { ...readCheckpoint(read.text), at };
}

/** What `verified` gives for the first Ed25519 key of `own` (method -> key) with which it does not refuse. */
async function byAKey(own, signer, verified) {
  let failure = noProof(`${signer} has no key that signs checkpoints`);
  for (const key of own.values()) {
    if (key.kind !== "Ed25519") continue;
    try {
      return await verified(key);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      failure = error;
    }
  }
  throw failure;
}

/** The checkpoint in a note, once it is by a key of its owner's. */
async function noteOf(note, signer, own) {
  const head = await byAKey(own, signer, (key) => verifyNote(note, key, signer));
  if (head.origin !== signer) throw noProof(`a checkpoint of ${shown(head.origin)}, signed by ${signer}`);
  return head;
}

function noteText(coded) {
  try {
    return utf8(fromBase64url(coded.slice(1)));
  } catch (error) {
    if (error instanceof Refused) throw noProof("not the multibase form of a note");
    throw error;
  }
}
