// The plan's steps as dots on a line: which are behind, which is now. Pure.
import type { RolloutResource } from '#libs/contract';
import { weight } from '../words/format.js';

export interface StepDot {
  readonly label: string;
  readonly state: 'done' | 'now' | 'ahead';
}

/** The plan is data of the server; only its weights are needed here. */
function weightsOf(plan: RolloutResource['plan']): number[] {
  const { steps } = plan as { steps?: unknown };
  return Array.isArray(steps) ? steps.map((step: { weightPct?: unknown }) => Number(step.weightPct)) : [];
}

/** One dot a step, then one for the bake. After the end: what had been reached. */
export function stepDots({ plan, step, phase }: Pick<RolloutResource, 'plan' | 'step' | 'phase'>, baked: boolean): StepDot[] {
  const weights = weightsOf(plan);
  const reached = phase === 'promoted' || baked ? weights.length : (step ?? -1);
  const moving = phase !== 'promoted' && phase !== 'rolledBack' && phase !== 'aborted';
  const state = (index: number): StepDot['state'] =>
    phase === 'promoted' || index < reached ? 'done' : index === reached ? (moving ? 'now' : 'done') : 'ahead';
  return [...weights.map((one, index) => ({ label: weight(one), state: state(index) })), { label: 'bake', state: state(weights.length) }];
}
