// Webhooks in and out: signatures, event bodies, the retry schedule and the guard around addresses that users give.
export * from './address-policy.js';
export * from './cloud-event.js';
export * from './guarded-request.js';
export * from './retry-schedule.js';
export * from './standard-webhooks.js';
