// The closed drawer: time, identity, faults and the verdict vocabulary. Nothing else goes here.
export * from './at-most.js';
export * from './clock.js';
export * from './crowd.js';
export * from './fault.js';
export * from './ids.js';
export * from './pulse.js';
export * from './verdict.js';
