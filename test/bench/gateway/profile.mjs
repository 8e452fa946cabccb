// Where the gateway's time went: self time by function and by place, from a CPU profile.

const shown = 45;

function place({ functionName, url, lineNumber }) {
  const file = url.replace(/^.*\/(dist\/|node_modules\/)/, '$1').replace(/^node:/, 'node:') || '(native)';
  return { file, name: `${functionName || '(anonymous)'} ${file}:${lineNumber + 1}` };
}

function part(file) {
  if (file === '(native)') return 'native and V8';
  if (file.startsWith('node:internal/streams') || file === 'node:stream') return 'node streams';
  if (file.startsWith('node:_http')) return 'node http';
  if (file.startsWith('node:')) return 'node other';
  return (
    /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ??
    file
      .replace(/^dist\//, '')
      .split('/')
      .slice(0, 5)
      .join('/')
  );
}

/** Text: shares of the time in which it was not idle. */
export function describeProfile({ nodes, samples, timeDeltas }) {
  const self = new Map();
  for (const [at, id] of samples.entries()) self.set(id, (self.get(id) ?? 0) + (timeDeltas[at] ?? 0));
  const byFunction = new Map();
  const byPart = new Map();
  let busyUs = 0;
  for (const { id, callFrame } of nodes) {
    const us = self.get(id) ?? 0;
    if (us === 0 || callFrame.functionName === '(idle)') continue;
    busyUs += us;
    const { file, name } = place(callFrame);
    byFunction.set(name, (byFunction.get(name) ?? 0) + us);
    const where = callFrame.functionName === '(garbage collector)' ? 'garbage collector' : part(file);
    byPart.set(where, (byPart.get(where) ?? 0) + us);
  }
  const lines = (map, most) =>
    [...map]
      .sort(([, a], [, b]) => b - a)
      .slice(0, most)
      .map(([name, us]) => `${((us / busyUs) * 100).toFixed(1).padStart(6)} %  ${name}`)
      .join('\n');
  return `busy ${(busyUs / 1e6).toFixed(1)} s\n\nby part\n${lines(byPart, 24)}\n\nby function (self)\n${lines(byFunction, shown)}`;
}
