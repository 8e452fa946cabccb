// The evaluator: runs test sets against versions, through the gateway.
export { EvaluatorModule } from './evaluator.module.js';
export { type EvaluatorOptions, type RunningEvaluator, startEvaluator } from './start-evaluator.js';
