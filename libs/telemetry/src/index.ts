// What a running process tells about itself.
export * from './log.js';
