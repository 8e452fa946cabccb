// What a judgement is asked with: the product's default plan unless the spec says otherwise.
import type { JudgeOptions } from '#libs/analysis';
import { defaultPlan } from '#libs/rollout';

export function testedOptions(more: Partial<JudgeOptions> = {}): JudgeOptions {
  const { checks, promotion, guards, alpha } = defaultPlan;
  return {
    epochs: [{ epoch: 1, weight: 0.5, since: 0 }],
    currentEpoch: 1,
    scores: null,
    checks,
    promotion,
    guards,
    alpha,
    now: 1_000_000,
    ...more,
  };
}
