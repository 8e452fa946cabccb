// What a mirrored request leaves behind: figures of two answers to one prompt. No text of either.
import type { Measured } from '../completions/measurement.js';
import type { ForcedFigures } from './forced.js';

export const mirrorOutcomes = [
  'ok',
  /** The candidate failed, broke off, or refused what stable answered. */
  'failed',
  'timeout',
  /** It had no room: says nothing of its answers. */
  'refused',
  /** Taken back by this gateway: says nothing either. */
  'cancelled',
  /** A fault of this gateway itself. */
  'broken',
] as const;
export type MirrorOutcome = (typeof mirrorOutcomes)[number];

export const cancelReasons = [
  /** Live requests waited, or were refused, at one of the two engines. */
  'live',
  /** The table mirrors this rollout no more. */
  'table',
  'stopping',
] as const;
export type CancelReason = (typeof cancelReasons)[number];

export const skipReasons = [
  /** The candidate is not ready here. */
  'notServed',
  /** `concurrentRequests` are running. */
  'concurrency',
  /** Its tokens would exceed `tokensPerSecond`. */
  'tokens',
  /** Its unit has been paired, or is being: a second pair would be no second piece of evidence. */
  'counted',
  /** Live requests wait, or did a moment ago. */
  'live',
  'table',
  'stopping',
  'broken',
] as const;
export type SkipReason = (typeof skipReasons)[number];

/** One of the two answers. */
export interface AnswerFigures extends Measured {
  /** Null where nobody counted. */
  readonly inputTokens: number | null;
  readonly outputTokens: number;
  readonly totalMs: number;
}

export interface MirrorReport {
  readonly requestId: string;
  readonly model: string;
  readonly rolloutId: string;
  readonly epoch: number;
  /** When stable was asked, milliseconds since the Unix epoch. */
  readonly assignedAt: number;
  readonly promptClass: string;
  readonly unit: string;
  /** The client named the unit; otherwise it is this request's alone. */
  readonly named: boolean;
  readonly outcome: MirrorOutcome;
  /** Code of the engine's fault, or why it was cancelled; null for `ok`. */
  readonly reason: string | null;
  /** Stable's answer as both versions read it; null: they did not. */
  readonly forced: ForcedFigures | null;
  readonly candidate: AnswerFigures & { readonly versionId: string };
  /** What the user got for the same prompt. */
  readonly stable: AnswerFigures & { readonly versionId: string };
}
