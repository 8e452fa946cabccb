// One request under observation: looked at when it is as old as a slow and as an unfinished one, and noted once when it has ended.
import type { Observation, ObservationStart } from '#libs/analysis';
import type { Clock } from '#libs/base';
import type { TokenPrice } from '#libs/contract';
import { type Usage, WheelEntry } from '#libs/engine';
import type { Admitted } from '../completions/admit.js';
import type { Attempt } from '../completions/attempt.js';
import type { Deadlines } from '../completions/deadlines.js';
import type { EnginePool } from '../engines/pool.js';
import type { Client } from '../relay/client.js';
import { type Compared, type FirstAnswers, noArm } from '../routing/first-answers.js';
import { FirstTokenWatch } from './first-token-watch.js';
import type { Recorder } from './recorder.js';

export interface ObservedParts {
  readonly recorder: Recorder;
  readonly firstAnswers: FirstAnswers;
  readonly pool: EnginePool;
  readonly deadlines: Deadlines;
  readonly clock: Clock;
}

/** When it was assigned: on the wall, and on the monotonic clock. */
export interface Beginning {
  readonly assignedAt: number;
  readonly startedAtMs: number;
}

/** Null: the request says nothing about what users get, or its arm was chosen and not drawn. */
export function observe(parts: ObservedParts, admitted: Admitted, client: Client, beginning: Beginning): Observed | null {
  // Who waits behind users on purpose says nothing about what users get.
  if (admitted.pinned || admitted.wishes.priority !== 'live') return null;
  return new Observed(parts, admitted, client, beginning);
}

export class Observed extends WheelEntry {
  /** As which part of a comparison it counts; known when it first counts. */
  private compared: Compared | null = null;
  private unfinishedAtMs = Number.POSITIVE_INFINITY;
  private countedUnfinished = false;
  private readonly cold: boolean;
  private readonly firstToken: FirstTokenWatch | null;

  constructor(
    private readonly parts: ObservedParts,
    private readonly admitted: Admitted,
    client: Client,
    private readonly beginning: Beginning,
  ) {
    super();
    const { pool } = parts;
    const { assignment, route, asked } = admitted;
    const { arm, versionId } = assignment;
    const { startedAtMs } = beginning;
    this.cold = arm !== null && arm !== 'stable' && (pool.find(versionId)?.cold.take() ?? false);
    const breaker = arm === null || route.rollout === null ? undefined : pool.find(route.rollout.candidate)?.breaker;
    this.firstToken =
      breaker && (arm === 'candidate' || arm === 'stable') ? new FirstTokenWatch(breaker, arm, asked.stream, startedAtMs, client) : null;
    if (arm !== null && route.rollout?.unfinishedAfterMs) this.unfinishedAtMs = startedAtMs + route.rollout.unfinishedAfterMs;
    this.lookAgain(startedAtMs);
  }

  override due(nowMs: number): void {
    if (this.firstToken !== null && this.firstToken.dueAtMs <= nowMs) this.firstToken.due(nowMs);
    if (this.unfinishedAtMs <= nowMs) {
      this.unfinishedAtMs = Number.POSITIVE_INFINITY;
      this.countedUnfinished = true;
      this.parts.recorder.unfinished(this.start(false));
    }
    this.lookAgain(nowMs);
  }

  /** Nothing came of it that counts. */
  drop(): void {
    this.parts.deadlines.wheel.clear(this);
  }

  /** What was noted; null when the request counts as none. Analysed as assigned: what a second try did stays out, or a failing candidate would be credited with stable's answers. */
  end(first: Attempt, fromCache: boolean): Observation | null {
    const { parts, admitted, beginning, cold, countedUnfinished } = this;
    const nowMs = parts.clock.monotonicMs();
    const totalMs = nowMs - beginning.startedAtMs;
    this.firstToken?.end(first, totalMs);
    // The candidate's slowness is looked at once more after its last request has ended.
    if (this.firstToken?.looksLater) {
      this.unfinishedAtMs = Number.POSITIVE_INFINITY;
      this.lookAgain(nowMs);
    } else parts.deadlines.wheel.clear(this);
    if (first.outcome === 'refused') return null;
    const observation: Observation = {
      ...this.start(fromCache),
      outcome: first.outcome,
      finishReason: first.finishReason,
      queueWaitMs: first.queueWaitMs,
      ttftMs: first.ttftMs,
      interTokenMs: first.interTokenMs,
      totalMs,
      inputTokens: first.usage?.inputTokens ?? 0,
      outputTokens: first.usage?.outputTokens ?? first.tokens,
      entropyMeanNats: first.entropyMeanNats,
      entropyMaxNats: first.entropyMaxNats,
      nllMeanNats: first.nllMeanNats,
      refused: first.refused,
      looped: first.looped,
      countedUnfinished,
      costMicros: costMicros(parts.pool.find(admitted.assignment.versionId)?.spec.price, first.usage),
      cold,
    };
    parts.recorder.add(observation);
    return observation;
  }

  private start(fromCache: boolean): ObservationStart {
    const { asked, assignment, promptClass, unit } = this.admitted;
    const { rolloutId, epoch, arm, place } = this.comparedAs(fromCache);
    const { assignedAt } = this.beginning;
    return { model: asked.model, versionId: assignment.versionId, rolloutId, epoch, arm, promptClass, unit, assignedAt, place };
  }

  private comparedAs(fromCache: boolean): Compared {
    this.compared ??= fromCache ? noArm : this.parts.firstAnswers.compared(this.admitted);
    return this.compared;
  }

  private lookAgain(nowMs: number): void {
    const dueMs = Math.min(this.firstToken?.dueAtMs ?? Number.POSITIVE_INFINITY, this.unfinishedAtMs);
    if (dueMs < Number.POSITIVE_INFINITY) this.parts.deadlines.wheel.set(this, dueMs, nowMs);
  }
}

/** Price per million tokens is millionths per token. Null without a price, and for an answer whose tokens nobody counted. */
export function costMicros(price: TokenPrice | undefined, usage: Usage | null): number | null {
  if (!price || !usage) return null;
  return usage.inputTokens * price.inputPerMillion + usage.outputTokens * price.outputPerMillion;
}
