// The OpenAI wire format: requests, answers, errors.
export * from './chat-request.js';
export * from './chat-response.js';
export * from './errors.js';
export * from './json.js';
