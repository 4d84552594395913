// Ends the process as a power cut does, right after its n-th sync: for the tests in test_js_kills.py.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { fsyncSync } = fs;
let left = Number(process.env.KILL_AT);
fs.fsyncSync = (file) => {
  fsyncSync(file);
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
};
syncBuiltinESMExports();
