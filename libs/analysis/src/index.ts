// Pure: what the numbers say.
export * from './block-sign.js';
export * from './epoch-counts.js';
export * from './event-ratio.js';
export * from './frozen-scores.js';
export * from './histogram-codec.js';
export * from './judge.js';
export * from './label.js';
export * from './log-tilt.js';
export * from './mixture.js';
export * from './sketch.js';
export * from './step.js';
export * from './tilt-process.js';
export * from './window.js';
export * from './window-book.js';
