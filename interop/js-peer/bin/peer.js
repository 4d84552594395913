#!/usr/bin/env node
/**
 *     peer.js init FOLDER
 *     peer.js serve FOLDER [--local] [--port N] [--origin URL] [--trust DID]... [--suite NAME]... [--offer "TASK=AMOUNT CURRENCY"]...
 *                          [--capacity N] [--budget "AMOUNT CURRENCY"]... [--handler FILE]... [--hook-token TOKEN] [--verbose]
 *     peer.js export FOLDER ENGAGEMENT FILE
 *
 * Each prints one line of JSON when it is ready. A handler file exports `handlers`: by task, `{delivers, mediaType, run(job)}`.
 */
import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';
import { readFileSync, writeFileSync } from 'node:fs';
import { createHome, openHome } from '../src/home.js';
import { handlers as ours } from '../src/handlers.js';
import { pack } from '../src/pack.js';
import { Peer } from '../src/peer.js';

const OPTIONS = /** @type {const} */ ({
  local: { type: 'boolean' }, port: { type: 'string' }, origin: { type: 'string' }, trust: { type: 'string', multiple: true }, suite: { type: 'string', multiple: true },
  help: { type: 'boolean', short: 'h' }, offer: { type: 'string', multiple: true }, handler: { type: 'string', multiple: true }, 'hook-token': { type: 'string' }, verbose: { type: 'boolean' },
  budget: { type: 'string', multiple: true }, capacity: { type: 'string' },
});

const USAGE = `usage: peer.js init FOLDER
       peer.js serve FOLDER [--local] [--port N] [--origin URL] [--trust DID]... [--suite NAME]... [--offer "TASK=AMOUNT CURRENCY"]...
                            [--capacity N] [--budget "AMOUNT CURRENCY"]... [--handler FILE]... [--hook-token TOKEN] [--verbose]
       peer.js export FOLDER ENGAGEMENT FILE
`;

/** @param {string} [wrong] @returns {never} */
function usage(wrong) {
  if (wrong === undefined) process.stdout.write(USAGE);
  else process.stderr.write(`peer.js: ${wrong}\n${USAGE}`);
  process.exit(wrong === undefined ? 0 : 2);
}

function parsed() {
  try { return parseArgs({ allowPositionals: true, options: OPTIONS }); } catch (error) { return usage(/** @type {Error} */ (error).message); }
}

const { values, positionals: [command, folder, engagement, file] } = parsed();
if (values.help) usage();
if (folder === undefined || (command === 'export' && file === undefined)) usage('expected a command and what it needs');

/** @param {any} value */
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const capacity = values.capacity === undefined ? {} : { capacity: Number(values.capacity) };
if (values.capacity !== undefined && !/^[1-9][0-9]{0,5}$/.test(values.capacity)) usage('--capacity is a number of contracts');
const budget = values.budget?.map((text) => /^((?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,9})?) ([A-Z]{3})$/.exec(text) ?? usage(`no amount and currency: ${text}`)).map(([, most, currency]) => [currency, most]);

/** @param {string[]} offers @param {string[]} files */
async function services(offers, files) {
  /** @type {Record<string, any>} */ let handlers = ours;
  for (const file of files) handlers = { ...handlers, ...(await import(pathToFileURL(file).href)).handlers };
  return offers.map((text) => {
    const [, task, amount, currency] = /^([^=]+)=([0-9.]+) ([A-Z]{3})$/.exec(text) ?? [];
    if (!handlers[task]) throw new Error(`no handler for ${text}`);
    return { task, summary: task, price: { amount: amount.replace(/\.0*$|(\.\d*?)0+$/, '$1'), currency }, ...capacity, ...handlers[task] };
  });
}

async function run() {
  if (command === 'init') {
    await createHome(folder);
    const { did, organisation } = openHome(folder);
    print({ did, organisation });
  } else if (command === 'serve') {
    const home = openHome(folder);
    const peer = await new Peer({
      home: folder, key: home.key, credentials: home.credentials, trust: values.trust, local: values.local, port: Number(values.port ?? 0), origin: values.origin,
      ...(values.suite ? { suites: values.suite } : {}), services: await services(values.offer ?? [], values.handler ?? []), hookToken: values['hook-token'], verbose: values.verbose,
      ...(budget ? { budget: Object.fromEntries(budget) } : {}),
    }).start();
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    const hook = values['hook-token'] === undefined ? {} : { hook: peer.origin };
    print({ did: peer.did, organisation: home.organisation, url: peer.url, origin: peer.origin, ...hook, version });
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => peer.stop().then(() => process.exit(0)));
  } else if (command === 'export') {
    const { key } = openHome(folder);
    const peer = new Peer({ home: folder, key, local: values.local });
    writeFileSync(file, pack(peer, engagement), { flag: 'wx' });
    print({ file });
  } else {
    usage(`no such command: ${command}`);
  }
}

// What stands in the way here, such as a folder that is there or a port that is taken, is no defect of this program.
run().catch((error) => {
  process.stderr.write(`peer.js: ${values.verbose ? error.stack : error.message}\n`);
  process.exit(1);
});
