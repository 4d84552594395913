/** Work that this peer can do without anything else. */

/** The first line of the input `report`. @param {import('./job.js').Job} job */
export async function summary(job) {
  const text = (await job.read('report')).toString();
  job.deliver('summary.txt', text.split('\n', 1)[0], 'text/plain');
}

/** The first input as it is. @param {import('./job.js').Job} job */
export async function echo(job) {
  const [{ name }] = job.inputs;
  job.deliver('echo', await job.read(name), 'application/octet-stream');
}

export const handlers = {
  summary: { delivers: 'summary.txt', mediaType: 'text/plain', run: summary },
  echo: { delivers: 'echo', mediaType: 'application/octet-stream', run: echo },
};
