// Admission to an engine: a pure queue that is told the time, used inside an engine child and before upstreams.
export * from './ask.js';
export * from './expected-output.js';
export * from './queue.js';
export * from './speed.js';
