// The words of the product for phases, verdicts and checks, each with the tone and the sign it is shown with.
import type { FindingResource, RolloutResource, VerdictName } from '#libs/contract';

export type Tone = 'good' | 'bad' | 'wait' | 'calm' | 'plain';
export type Sign = 'tick' | 'cross' | 'pause' | 'clock' | 'arrow' | 'question' | 'stop' | 'scale';

export interface Named {
  readonly word: string;
  readonly tone: Tone;
  readonly sign: Sign;
}

export const phases: Readonly<Record<RolloutResource['phase'], Named>> = {
  pending: { word: 'Pending', tone: 'plain', sign: 'clock' },
  gating: { word: 'At the gate', tone: 'calm', sign: 'scale' },
  shadowing: { word: 'In the shadow', tone: 'calm', sign: 'scale' },
  progressing: { word: 'Progressing', tone: 'calm', sign: 'arrow' },
  baking: { word: 'Baking', tone: 'calm', sign: 'clock' },
  paused: { word: 'Paused', tone: 'wait', sign: 'pause' },
  promoted: { word: 'Promoted', tone: 'good', sign: 'tick' },
  rolledBack: { word: 'Rolled back', tone: 'bad', sign: 'cross' },
  aborted: { word: 'Aborted', tone: 'bad', sign: 'stop' },
};

export const verdicts: Readonly<Record<VerdictName, Named>> = {
  pass: { word: 'Pass', tone: 'good', sign: 'tick' },
  fail: { word: 'Fail', tone: 'bad', sign: 'cross' },
  inconclusive: { word: 'Inconclusive', tone: 'plain', sign: 'scale' },
  unmeasured: { word: 'Unmeasured', tone: 'plain', sign: 'question' },
};

type CheckName = FindingResource['check'];

export const checks: Readonly<Record<CheckName, { readonly word: string; readonly measures: string }>> = {
  entropy: { word: 'Output entropy', measures: 'mean nats per token, relative to stable' },
  length: { word: 'Output length', measures: 'tokens per answer, relative to stable' },
  errors: { word: 'Errors', measures: 'share of failed answers, difference to stable' },
  latency: { word: 'Latency', measures: 'whole request, relative to stable' },
  quality: { word: 'Quality', measures: 'share of cases passed, difference to stable' },
  engine: { word: 'Engine', measures: 'does it load and answer' },
  memory: { word: 'Memory', measures: 'share of its limit in use, restarts of the engine' },
  refusals: { word: 'Refusals', measures: 'share of answers that decline, relative to stable' },
  shape: { word: 'Entropy shape', measures: 'share of answers that loop or are unusually sure or unsure, relative to stable' },
  ttft: { word: 'First token', measures: 'time to the first token, relative to stable' },
  interToken: { word: 'Between tokens', measures: 'time between tokens, relative to stable' },
  cost: { word: 'Cost', measures: 'tokens times price per request, relative to stable' },
};

const terminal: ReadonlySet<string> = new Set(['promoted', 'rolledBack', 'aborted']);

/** True when nothing leaves this phase any more. */
export function hasEnded(phase: RolloutResource['phase']): boolean {
  return terminal.has(phase);
}
