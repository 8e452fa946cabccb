// Engines: what turns a request into tokens.
export * from './engine.js';
