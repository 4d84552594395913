// The archive and its manifest: 08, section 8.6, HIRE-PCK-01, step 1.

const SKEW = 60;
const KINDS = ["message", "contract", "statement", "did-document", "ledger", "artifact", "refusal", "subcontract"].concat([
  ...["log-proofs", "decision", "credential", "status", "policy", "withheld"],
]);

const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9_-]|[./](?=[A-Za-z0-9]))*$/;
const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

function littleEndianBytes(...fields) {
  return Uint8Array.from(fields.flatMap(([size, value]) => Array.from({ length: size }, (_, at) => Math.floor(value / 2 ** (8 * at)) % 256)));
}

/** Header of a member in the one form; with `offset` the one in the directory. */
function header(name, data, offset) {
  const path = encode(name);
  const fields = [[2, 20], [2, 0], [2, 0], [2, 0], [2, 33], [4, crc32(data)], [4, data.length], [4, data.length], [2, path.length], [2, 0]];
  if (offset === undefined) return concat(littleEndianBytes([4, 0x04034b50], ...fields), path);
  const more = [[2, 0], [2, 0], [2, 0], [4, 0o100644 * 65536], [4, offset]];
  return concat(littleEndianBytes([4, 0x02014b50], [2, 0x0314], ...fields, ...more), path);
}

/** The members of a pack's archive, which has one form: nothing is compressed, and nothing hides between members. */
const MAX_PACK_BYTES = 268435456;

function readArchive(data) {
  const no = (why) => invalid(`not the archive of an evidence pack: ${why}`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const members = new Map();
  const directory = [];
  let [at, total, formed] = [0, 0, true];
  while (at + 4 <= data.length && view.getUint32(at, true) === 0x04034b50) {
    if (members.size === 10000) throw new Refused("too_large", "expected at most 10000 members");
    if (data.length - at < 30) throw no("it ends inside a member");
    const [size, nameSize, extra] = [view.getUint32(at + 22, true), view.getUint16(at + 26, true), view.getUint16(at + 28, true)];
    const start = at + 30 + nameSize;
    if (extra || nameSize > 200 || start + size > data.length) throw no("a member has another form, or does not fit");
    const name = String.fromCharCode(...data.subarray(at + 30, start));
    if (!NAME.test(name) || name.endsWith("\n")) throw new Refused("bad_path", `expected the name of a member of an evidence pack; came ${shown(name)}`);
    if (members.has(name)) throw no(`${name} is there twice`);
    const content = data.subarray(start, start + size);
    formed = formed && same(data.subarray(at, start), header(name, content)); // said last: what its members are comes first
    directory.push(header(name, content, at));
    members.set(name, content);
    total += size;
    at = start + size;
  }
  if (total > MAX_PACK_BYTES) throw no(`its members are larger than ${MAX_PACK_BYTES} bytes together, the most that one has`);
  const whole = concat(...directory);
  const count = members.size;
  const end = littleEndianBytes([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, whole.length], [4, at], [2, 0]);
  const names = [...members.keys()];
  if (!formed || !equal(names, names.toSorted()) || !same(data.subarray(at), concat(whole, end))) throw no("it is not, byte for byte, what its members make");
  return members;
}

function readManifest(data) {
  if (!data) throw invalid("there is no manifest.json");
  let manifest;
  try {
    manifest = decodeJson(data, MANIFEST_LIMITS);
    checkSchema(DATA.schemas.Manifest, manifest);
  } catch (error) {
    if (error instanceof Refused) throw invalid(`manifest.json: ${error.message}`, error.path);
    throw error;
  }
  if (!same(canonical(manifest), data)) throw invalid("manifest.json is not in canonical form");
  return manifest;
}

async function archive(the) {
  const members = readArchive(the.data);
  const manifest = readManifest(members.get("manifest.json"));
  members.delete("manifest.json");
  const listed = manifest.members.map((item) => item.path);
  const sorted = [...new Set(listed)].sort();
  if (!equal(listed, sorted) || listed.length !== members.size || !listed.every((path) => members.has(path))) {
    throw invalid("listed and packed members differ");
  }
  const transcript = [];
  for (const item of manifest.members) {
    const data = members.get(item.path);
    if ((await digestBytes(data)) !== item.digest) throw invalid(`${item.path} was changed`, item.path);
    checkKind(item);
    if (has(item, "recordedAt") !== (item.kind === "message")) throw invalid(`${item.path}: a message, and nothing else, was recorded`);
    if (item.kind === "message") transcript.push(await transcribed(transcript.length + 1, item, data));
  }
  Object.assign(the, { manifest, members, transcript });
  const times = transcript.map((one) => one.at);
  if (!times.length || manifest.created !== times.toSorted().at(-1)) throw invalid("the manifest was not created with its last message");
  if (!equal(times, times.toSorted())) throw invalid("the transcript runs back in time");
  if (manifest.created > shift(the.now, SKEW)) throw invalid(`recorded at ${manifest.created}, which is after ${the.now}`);
  return `${members.size} members as listed; ${times.length} messages, the last of ${manifest.created}`;
}

const PLACES = new Map(
  Object.entries({
    "contract.json": "contract",
    "ledger/checkpoint.txt": "ledger",
    "ledger/inclusion.json": "ledger",
    "ledger/proofs.json": "log-proofs",
    "withheld.json": "withheld",
    transcript: "message",
    statements: "statement",
    "did-documents": "did-document",
    artifacts: "artifact",
    refusals: "refusal",
    subcontracts: "subcontract",
    decisions: "decision",
    credentials: "credential",
    status: "status",
    policies: "policy",
    approvals: "approval",
    forks: "fork",
  }),
);

/** A member under another name would be kept and not judged. */
function checkKind({ path, kind }) {
  const wanted = PLACES.get(path) ?? PLACES.get(path.split("/")[0]);
  if (wanted === undefined && [...PLACES.values()].includes(kind)) throw invalid(`${path}: nothing of the kind ${kind} stands there`);
  if (wanted !== undefined && kind !== wanted) throw invalid(`${path}: expected the kind ${wanted}, got ${shown(kind)}`);
}

async function transcribed(number, item, raw) {
  let message;
  try {
    message = await decodeMessage(raw);
  } catch (error) {
    if (error instanceof Refused) throw new Refused(error.code, `${item.path}: ${error.message}`, error.path);
    throw error;
  }
  const name = item.path.slice(item.path.indexOf("/") + 1).split("-");
  const kind = name.length === 3 ? name[1] : "";
  const right = `transcript/${String(number).padStart(4, "0")}-${kind}-${message.content.type}.json`;
  if (!["sent", "received"].includes(kind) || item.path !== right) throw invalid(`${item.path} is not the name of message ${number}`);
  return { number, kind, at: item.recordedAt, message, content: message.content };
}

const ofKind = (the, kind) => the.manifest.members.filter((item) => item.kind === kind).map((item) => [item.path, the.members.get(item.path)]);
