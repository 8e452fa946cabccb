// Engines: what turns a request into tokens.
export * from './create.js';
export * from './device/device-watch.js';
export * from './device/host-memory.js';
export * from './device/reading.js';
export * from './engine.js';
export * from './fake.js';
export * from './fake-model.js';
export * from './gguf/facts.js';
export * from './gguf/header.js';
export * from './gguf/lora.js';
export * from './http/http-engine.js';
export { slotMs, WheelEntry, wheelOf } from './http/relay/timer-wheel.js';
export * from './model-files.js';
export * from './native/grammar/gbnf-of.js';
export * from './native/native-engine.js';
export * from './relay.js';
