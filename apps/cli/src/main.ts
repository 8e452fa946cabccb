#!/usr/bin/env node
// `serin` as a process.
import { systemClock } from '#libs/base';
import type { Io } from './io.js';
import { run } from './program.js';

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort(new Error(signal)));
// A reader that has seen enough (`serin rollout list | head -1`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});
const io: Io = {
  env: process.env,
  clock: systemClock,
  out: (line) => void process.stdout.write(`${line}\n`),
  err: (line) => void process.stderr.write(`${line}\n`),
  signal: stopping.signal,
};
process.exitCode = await run(process.argv.slice(2), io);
