// Pure: what the numbers say.
export * from './window.js';
