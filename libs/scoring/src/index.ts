// Test sets, scores of answers, and the paired comparison of two versions. Pure.
export * from './gate.js';
export * from './paired.js';
export * from './parse-test-set.js';
export * from './score.js';
export * from './score-rouge.js';
export * from './score-text.js';
export * from './special.js';
export * from './test-case.js';
