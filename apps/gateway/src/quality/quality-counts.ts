// How scores by judges fared since the start of the process. What was drawn is skipped, running or ended, and in exactly one count.
import { type CallOutcome, callOutcomes } from './judgement-call.js';

export const unscoredReasons = [
  /** The judge is not ready here. */
  'notServed',
  'concurrency',
  'tokens',
  /** Users wait at the judge's engine, or did a moment ago. */
  'live',
  /** Several prompts or answers, calls, token ids. */
  'form',
  /** Conversation or answer is longer than a judge is given. */
  'size',
  /** The answer was larger than may be kept in memory. */
  'memory',
  'stopping',
  'broken',
] as const;
export type UnscoredReason = (typeof unscoredReasons)[number];

/** `drawn` = all of `skipped` + `running` + all of `ended`. */
export interface QualityFigures {
  readonly drawn: number;
  readonly running: number;
  readonly skipped: Readonly<Record<UnscoredReason, number>>;
  readonly ended: Readonly<Record<CallOutcome, number>>;
  /** Of all questions and replies. */
  readonly tokens: number;
}

export class QualityCounts {
  private drawn = 0;
  private running = 0;
  private tokens = 0;
  private readonly skipped = zeros(unscoredReasons);
  private readonly ended = zeros(callOutcomes);

  skip(reason: UnscoredReason): void {
    this.drawn += 1;
    this.skipped[reason] += 1;
  }

  start(): void {
    this.drawn += 1;
    this.running += 1;
  }

  end(outcome: CallOutcome, tokens: number): void {
    this.running -= 1;
    this.ended[outcome] += 1;
    this.tokens += tokens;
  }

  read(): QualityFigures {
    const { drawn, running, skipped, ended, tokens } = this;
    return { drawn, running, skipped, ended, tokens };
  }
}

function zeros<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
}
