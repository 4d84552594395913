/** How a vector of each kind is read: what comes of it, or the code of the refusal. */
import { HireError } from '../src/errors.js';
import { readJson } from '../src/json.js';
import { checkNames, multikeys, Resolver } from '../src/did.js';
import { digest, digestOfBytes, digestOfHash, seconds } from '../src/encoding.js';
import { contractLeaf } from '../src/ledger.js';
import { readKey, verify } from '../src/keys.js';
import { readMessage, verifyMessage } from '../src/message.js';
import { steps } from '../src/proofs.js';
import { fromBase58 } from '../src/encoding.js';
import { other, verifySealed } from '../src/contract.js';
import { checkShape } from '../src/schema.js';
import { Engagement } from '../src/machine.js';
import { basisOf } from '../src/owed.js';
import { receive } from '../src/receive.js';
import { credentialDigest, verifyPresentation } from '../src/presentation.js';
import { checkStatus } from '../src/status.js';
import { pae, verifyDelivery, verifyVerdict } from '../src/statements.js';
import { verifyLinkage } from '../src/linkage.js';
import { verifyParents } from '../src/parents.js';
import { verifyAnswer, verifyRequest } from '../src/requests.js';
import { checkScope, decide } from '../src/scope.js';
import { readAcceptor, readDialer } from '../src/link.js';

const hex = (/** @type {Uint8Array} */ bytes) => Buffer.from(bytes).toString('hex');

/** @param {() => Promise<any>} act */
async function coded(act) {
  try { return await act(); } catch (error) {
    if (error instanceof HireError) return { code: error.code, says: error.message, path: error.path };
    throw error;
  }
}

/** @param {any} document @param {any} proof @param {any} [kind] */
async function worked(document, proof, kind) {
  const found = await steps(document, proof, kind === 'P-384' ? 'sha384' : 'sha256');
  return { ...found, documentHash: hex(found.documentHash), proofConfigHash: hex(found.proofConfigHash), signed: hex(found.signed), signature: hex(fromBase58(proof.proofValue)) };
}

/** What is signed of a DSSE envelope, and by which of these keys. @param {any} envelope @param {[string, string][]} keys */
function enveloped({ payload, payloadType, signatures: [{ sig }] }, keys) {
  const [bytes, signature] = [payload, sig].map((text) => Buffer.from(text, 'base64'));
  const signed = pae(bytes, payloadType);
  const signers = keys.filter(([, key]) => verify(readKey(key), signature, signed, { lowS: false })).map(([method]) => method);
  return { digest: digestOfBytes(bytes), signed: signed.toString(), signature: hex(signature), signers };
}

/** @type {Record<string, (input: Buffer, of: any, journal: any, expected: any) => Promise<any>>} */
export const kinds = {
  async message(input, of, _, expected) {
    const resolver = new Resolver({ documents: of.documents });
    const found = await coded(async () => {
      const message = readMessage(input);
      const { digest: name, document } = await verifyMessage(message, { resolver, recipient: of.recipient, now: seconds(of.now), suites: of.suites });
      checkNames(document, of.before ?? []);
      const { proof, ...rest } = message;
      return { type: message.type, digest: name, ...(await worked(rest, proof, of.keys[0].kind)) };
    });
    return { type: expected.type, ...found };
  },

  async key(input) {
    return coded(async () => ({ keyKind: readKey(input.toString().trim()).kind }));
  },

  async sealed(input) {
    return coded(async () => {
      const sealed = /** @type {any} */ (readJson(input));
      const found = await verifySealed(sealed, new Resolver());
      const { proof: [first, second], ...rest } = sealed.document;
      return {
        ...found, digest: digest(sealed.document), leaf: digestOfHash(contractLeaf(sealed.document)),
        offererProof: await worked(rest, first), acceptorProof: await worked({ ...rest, proof: [first] }, second),
      };
    });
  },

  async scope(input, of) {
    return coded(async () => {
      const scope = /** @type {any} */ (readJson(input));
      checkShape('Scope', scope);
      checkScope(scope, 'urn:hire:sketch');
      return decide(scope, of.action, { now: seconds(of.now), used: of.used, approved: of.approved });
    });
  },
};

kinds.journal = async function journal(input, of, journal, expected) {
  const resolver = new Resolver({ documents: of.documents });
  const engagement = new Engagement(of.view);
  /** @type {string[]} */ const states = [];
  for (const { at, message } of journal) {
    engagement.take(message, { at: seconds(at), bytes: Buffer.byteLength(JSON.stringify(message)) });
    states.push(engagement.state.main);
  }
  const found = await coded(async () => {
    const message = readMessage(input);
    const { outcome } = await receive(engagement, message, { resolver, own: of[message.sender === of[of.view] ? other(of.view) : of.view], at: seconds(of.at), bytes: input.length, subcontracts: true });
    return { outcome };
  });
  const state = engagement.state.main;
  return { type: expected.type, ...found, state, states: [...states, state], basis: basisOf(engagement.state) };
};

kinds.connection = async function connection(input, of) {
  return coded(async () => {
    const self = { did: of.own, resolver: new Resolver(), now: () => seconds(of.now) };
    const { sender, version, proof } = of.reader === 'acceptor' ? await readDialer(input, of.nonce, self) : await readAcceptor(input, of, self);
    const { proof: _, ...document } = JSON.parse(input.toString());
    return { peer: sender, version, ...(await worked(document, proof, of.keys[0].kind)) };
  });
};

kinds.chain = async function chain(input) {
  return coded(async () => {
    const { document, parents } = /** @type {any} */ (readJson(input, { depth: 24 }));
    const found = await verifyParents(document, parents, new Resolver());
    return { parents: found };
  });
};

kinds.request = async function request(input, of) {
  return coded(async () => verifyRequest(JSON.parse(input.toString()), {
    ...of, now: seconds(of.now), seen: (keyid, nonce) => (of.seen ?? []).some((/** @type {string[]} */ one) => one[0] === keyid && one[1] === nonce),
  }));
};

kinds.answer = async function answer(input, of) {
  return coded(async () => {
    const document = await new Resolver().resolve(of.hirer);
    const methods = multikeys(document, 'authentication', seconds(of.now));
    return verifyAnswer(JSON.parse(input.toString()), { ...of, now: seconds(of.now), methods });
  });
};

kinds.linkage = async function linkage(input, of) {
  return coded(async () => {
    const found = await verifyLinkage(input, { ...of, now: seconds(of.now), resolver: new Resolver({ documents: of.documents }) });
    return found.proof ? { credential: found.credential, ...(await worked(found.document, found.proof)) } : found;
  });
};

kinds.presentation = async function presentation(input, of) {
  return coded(async () => {
    const resolver = new Resolver();
    const now = seconds(of.now);
    const carried = { presentation: readJson(input, { foreign: true }), sender: of.holder, recipient: of.domain, engagement: of.engagement, answers: of.challenge };
    const credentials = await verifyPresentation(carried, resolver, now);
    const fetch = async (/** @type {string} */ url) => {
      if (!of.lists?.[url]) throw new Error('not there');
      return Buffer.from(JSON.stringify(of.lists[url]));
    };
    for (const credential of credentials) await checkStatus(credential, resolver, now, { fetch });
    const made = (/** @type {any} */ { proof: proofs, ...document }) => {
      const [proof] = [proofs].flat();
      return worked(document, proof, of.keys.find((/** @type {any} */ key) => key.method === proof.verificationMethod)?.kind);
    };
    const proofs = await Promise.all(credentials.map(made));
    const lists = of.lists && Object.fromEntries(await Promise.all(Object.entries(of.lists).map(async ([url, list]) => [url, await made(list)])));
    return { credentials: credentials.map(credentialDigest), presentation: await made(carried.presentation), proofs, lists };
  });
};

kinds.delivery = async function delivery(input, of) {
  return coded(async () => {
    const given = JSON.parse(input.toString());
    const bytes = new Map(Object.entries(of.files).map(([name, text]) => [name, Buffer.from(String(text))]));
    const document = await new Resolver().resolve(of.provider);
    const types = verifyDelivery(given, { ...of, document, terms: { evidence: { predicates: of.predicates }, task: { kind: of.task } }, now: 0 }, bytes);
    const keys = of.methods.map((/** @type {string} */ method) => [method, method.split('#')[1]]);
    return { types, statements: given.statements.map((/** @type {any} */ one) => enveloped(one, keys)) };
  });
};

kinds.review = async function review(input, of) {
  return coded(async () => {
    const [document, recorded] = [of.methods, of.recorded ?? {}].map((keys) => /** @type {any} */ ({
      id: of.verifier, assertionMethod: Object.keys(keys),
      verificationMethod: Object.entries(keys).map(([id, publicKeyMultibase]) => ({ id, type: 'Multikey', controller: of.verifier, publicKeyMultibase })),
    }));
    const parties = await Promise.all(of.parties.map((/** @type {string} */ did) => new Resolver().resolve(did)));
    const statement = JSON.parse(input.toString());
    const result = verifyVerdict(statement, { delivery: of, contract: of.contract, verifier: of.verifier, document, earlier: [recorded], parties, now: 0 });
    return { ...enveloped(statement, Object.entries({ ...of.recorded, ...of.methods })), result };
  });
};
