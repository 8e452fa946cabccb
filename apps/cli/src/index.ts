// The command line `serin`, callable in-process.
export { exitCodes } from './exit-codes.js';
export type { Io } from './io.js';
export { run } from './program.js';
