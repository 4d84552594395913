// Points a W3C test suite at a running daemon: copied beside the suite's package.json, it is found there.
//
//   UNDERSIGNED_HOME   the state folder of the daemon: its DIDs and its token are read there
//   BASE_URL           its control listener, http://127.0.0.1:9000 by default
//
// Some suites send no header of their own to a local endpoint, so the token is added here, to requests for BASE_URL and
// to no others. Which of the entries is asked is said by their tags; the suite that signs is chosen by `options`.
'use strict';

const {existsSync, readFileSync} = require('node:fs');
const http = require('node:http');
const {join} = require('node:path');

const home = process.env.UNDERSIGNED_HOME;
if(!home) {
  throw new Error('set UNDERSIGNED_HOME to the state folder of the daemon');
}
const baseUrl = (process.env.BASE_URL || 'http://127.0.0.1:9000').replace(/\/+$/, '');
const headers = {Authorization: `Bearer ${readFileSync(join(home, 'control.token'), 'utf8').trim()}`};

const configuration = readFileSync(join(home, 'undersigned.toml'), 'utf8');
const [agent, organisation] = [...configuration.matchAll(/^did = "([^"\\]+)"$/gm)].map(found => found[1]);
// The organisation's key is Ed25519. The agent's may be another, which its DID document says.
const published = existsSync(join(home, 'did.json')) ? readFileSync(join(home, 'did.json'), 'utf8') : agent;
const curve = [['P-256', 'zDn'], ['P-384', 'z82']].find(([, prefix]) => published.includes(prefix))?.[0];

const ours = url => `${url}`.startsWith(`${baseUrl}/`);

const request = http.request;
http.request = function(url, options, ...rest) {
  if(ours(url) && options && typeof options === 'object') {
    options = {...options, headers: {...options.headers, ...headers}};
  }
  return request.call(this, url, options, ...rest);
};

const fetched = globalThis.fetch;
globalThis.fetch = (resource, init) => ours(resource) ?
  fetched(resource, {...init, headers: {...init?.headers, ...headers}}) : fetched(resource, init);

const issuer = (id, cryptosuite, tags = [], more = {}) => ({
  id,
  endpoint: `${baseUrl}/credentials/issue`,
  headers,
  options: {cryptosuite},
  supports: {vc: ['2.0']},
  tags: [cryptosuite, ...tags],
  ...more
});

const issuers = [
  issuer(organisation, 'eddsa-rdfc-2022', ['vc2.0', 'BitstringStatusList', 'localhost']),
  issuer(organisation, 'eddsa-jcs-2022', ['localhost'])
];
if(curve) {
  const keys = {supportedEcdsaKeyTypes: [curve]};
  issuers.push(issuer(agent, 'ecdsa-rdfc-2019', ['localhost'], keys), issuer(agent, 'ecdsa-jcs-2019', ['localhost'], keys));
}

const suites = ['eddsa-rdfc-2022', 'eddsa-jcs-2022', 'ecdsa-rdfc-2019', 'ecdsa-jcs-2019'];
const verifier = (path, tags) => ({
  id: agent,
  endpoint: `${baseUrl}${path}`,
  headers,
  supports: {vc: ['2.0']},
  supportedEcdsaKeyTypes: ['P-256', 'P-384'],
  tags: [...tags, 'localhost']
});

module.exports = {
  settings: {enableInteropTests: false, testAllImplementations: false},
  implementations: [{
    name: 'Undersigned',
    implementation: 'Undersigned',
    issuers,
    verifiers: [verifier('/credentials/verify', [...suites, 'vc2.0', 'BitstringStatusList'])],
    vpVerifiers: [verifier('/presentations/verify', ['vc2.0', 'BitstringStatusList'])]
  }]
};
