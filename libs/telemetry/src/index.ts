// What a running process tells about itself.
export * from './log.js';
export * from './quiet-log.js';
