// The OpenAI wire format: requests, answers, errors.
export * from './answer-format.js';
export * from './body/scanned-body.js';
export * from './chat-request.js';
export * from './chat-response.js';
export * from './completion-request.js';
export * from './completion-response.js';
export * from './embedding-request.js';
export * from './embedding-response.js';
export * from './errors.js';
export { type RequestFault, refusal, type SamplingWishes } from './fields.js';
export * from './json.js';
export * from './message-content.js';
export * from './models.js';
export * from './response-format.js';
export * from './score-request.js';
export * from './tool-calls.js';
export * from './tools.js';
export * from './uncertainty.js';
