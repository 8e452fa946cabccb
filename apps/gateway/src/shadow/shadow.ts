// Mirrors a sampled share of stable's requests to a candidate that no user meets yet: after the answer, within a budget, and gone before users wait.
import type { Clock } from '#libs/base';
import type { Priority } from '#libs/engine';
import type { RoutingTable } from '#libs/rollout';
import type { Log } from '#libs/telemetry';
import type { Admitted } from '../completions/admit.js';
import type { Attempt } from '../completions/attempt.js';
import type { Deadlines } from '../completions/deadlines.js';
import type { EnginePool } from '../engines/pool.js';
import type { RoutingFeed } from '../routing/feed.js';
import type { FirstAnswers } from '../routing/first-answers.js';
import { estimateOf, type Hold, type MirrorEstimate, ShadowBudget } from './budget.js';
import { type Candidature, isMirrored } from './coin.js';
import { ShadowCounts, type ShadowFigures } from './counts.js';
import { Mirror, type MirrorEnd } from './mirror.js';
import type { MirrorReport, SkipReason } from './report.js';
import { type RunningMirror, RunningMirrors } from './running-mirrors.js';

export interface ShadowParts {
  readonly feed: Pick<RoutingFeed, 'current'>;
  readonly pool: EnginePool;
  readonly deadlines: Deadlines;
  readonly firstAnswers: Pick<FirstAnswers, 'hasPair' | 'pair'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Told once for each mirror that ran, when it has ended. */
  readonly onMirrored?: (report: MirrorReport) => void;
}

/** A request that was answered. */
export interface Answered {
  readonly requestId: string;
  readonly admitted: Pick<Admitted, 'route' | 'assignment' | 'pinned' | 'wishes' | 'unit' | 'named' | 'promptClass' | 'asked' | 'body'>;
  readonly attempt: Attempt;
  /** Milliseconds since the Unix epoch. */
  readonly assignedAt: number;
  readonly totalMs: number;
}

interface Started {
  readonly running: RunningMirror;
  readonly hold: Hold;
  readonly estimate: MirrorEstimate;
}

/** A mirror that takes longer holds its place in vain. */
const mirrorMs = 120_000;

export class Shadow {
  private readonly mirrors: RunningMirrors;
  private readonly counts = new ShadowCounts();
  private readonly budgets = new Map<string, ShadowBudget>();
  /** What the newest table mirrors, by rollout. */
  private active: ReadonlyMap<string, Candidature> = new Map();
  private stopped = false;

  constructor(private readonly parts: ShadowParts) {
    this.mirrors = new RunningMirrors(parts.pool, parts.clock);
  }

  /** A request was given to a version. Pair with `over`. */
  sent(versionId: string, sequences: number, priority: Priority): void {
    if (priority !== 'shadow') this.mirrors.live(versionId, sequences);
  }

  /** `refused`: for load, of which mirrors may be a part. */
  over(versionId: string, sequences: number, priority: Priority, refused: boolean): void {
    if (priority === 'shadow') return;
    this.mirrors.live(versionId, -sequences);
    if (refused && this.active.size > 0) this.mirrors.giveWay(versionId);
  }

  /** Takes an answered request for mirroring, or leaves it. Costs a hash; all else comes when the answer's bytes are on their way. */
  offer(answered: Answered): void {
    const { route, assignment, pinned, wishes, unit } = answered.admitted;
    const { rollout, stable } = route;
    if (!rollout?.shadow || stable === null || assignment.versionId !== stable) return;
    if (pinned || wishes.priority !== 'live' || answered.attempt.outcome !== 'ok') return;
    this.counts.eligible += 1;
    if (isMirrored(rollout, unit)) setImmediate(() => this.begin(answered, rollout, stable));
  }

  /** Takes back what the table mirrors no more. */
  follow(table: RoutingTable): void {
    this.active = new Map(table.routes.flatMap(({ rollout }) => (rollout?.shadow ? [[rollout.id, rollout] as const] : [])));
    this.mirrors.cancel('table', ({ rolloutId }) => !this.active.has(rolloutId));
    for (const id of this.budgets.keys()) if (!this.active.has(id)) this.budgets.delete(id);
  }

  /** Mirrors end first when the gateway does. */
  stop(): void {
    this.stopped = true;
    this.mirrors.cancel('stopping');
  }

  figures(): ShadowFigures {
    return this.counts.read(this.mirrors.size);
  }

  private begin(answered: Answered, rollout: Candidature, stable: string): void {
    let started: Started | SkipReason;
    try {
      started = this.start(answered, rollout, stable);
    } catch (error) {
      this.complain(error, answered);
      started = 'broken';
    }
    if (typeof started === 'string') return this.counts.skip(started);
    this.counts.start();
    this.mirrors.add(started.running);
    void this.run(answered, rollout, started);
  }

  private start({ requestId, admitted }: Answered, rollout: Candidature, stable: string): Started | SkipReason {
    const { id, candidate } = rollout;
    const { pool, clock, feed, deadlines } = this.parts;
    const policy = this.active.get(id)?.shadow;
    if (this.stopped) return 'stopping';
    if (!policy) return 'table';
    const served = pool.find(candidate);
    if (!served?.engine || !pool.serves(candidate)) return 'notServed';
    const { asked, body, named, unit } = admitted;
    if (named && (this.parts.firstAnswers.hasPair(rollout, unit) || this.mirrors.runsFor(id, unit))) return 'counted';
    const { choices } = asked;
    if (this.mirrors.mustWait(stable, candidate, choices)) return 'live';
    const limits = deadlines.limits(mirrorMs, true);
    // A tenant of its own: mirrors of a user's requests take nothing of the user's share of a queue.
    const ticket = { tenant: `shadow ${id}`, priority: 'shadow', deadlineMs: limits.totalMs } as const;
    const requests = asked.requests(`shadow-${requestId}`, served.spec).map((request) => ({ ...request, ticket }));
    const estimate = estimateOf(body.bytes.length, requests);
    const budget = this.budgets.get(id) ?? new ShadowBudget();
    this.budgets.set(id, budget);
    const hold = budget.take(policy, feed.current?.gateways ?? 1, estimate, clock.monotonicMs());
    if (typeof hold === 'string') return hold;
    const mirror = new Mirror({ engine: served.engine, requests, choices, deadlines, limits, clock });
    const running = { mirror, rolloutId: id, stable, candidate, sequences: choices, ...(named ? { unit } : {}) };
    return { running, hold, estimate };
  }

  /** Never rejects: what breaks here is no matter of the requests that users sent. */
  private async run(answered: Answered, rollout: Candidature, { running, hold, estimate }: Started): Promise<void> {
    let end: MirrorEnd | null = null;
    try {
      end = await running.mirror.run();
    } catch (error) {
      this.complain(error, answered);
    }
    const tokens = (end?.figures.inputTokens ?? estimate.promptTokens) + (end?.figures.outputTokens ?? 0);
    hold.settle(tokens, this.parts.clock.monotonicMs());
    this.mirrors.delete(running);
    this.counts.end(end?.outcome ?? 'broken', end?.cancelledFor ?? null, tokens);
    try {
      if (end) this.tell(reportOf(answered, rollout, end), rollout);
    } catch (error) {
      this.complain(error, answered);
    }
  }

  private tell(report: MirrorReport, rollout: Candidature): void {
    const { outcome, named, unit } = report;
    const counts = outcome === 'ok' || outcome === 'failed' || outcome === 'timeout';
    // What says nothing leaves its unit to be paired by another request.
    if (named && counts) this.parts.firstAnswers.pair(rollout, unit);
    this.parts.onMirrored?.(report);
  }

  private complain(error: unknown, { requestId }: Answered): void {
    this.parts.log.error({ err: error, requestId }, 'a mirrored request broke');
  }
}

function reportOf({ requestId, admitted, attempt, assignedAt, totalMs }: Answered, rollout: Candidature, end: MirrorEnd): MirrorReport {
  const { asked, assignment, promptClass, unit, named } = admitted;
  const { finishReason, ttftMs, interTokenMs, tokens, entropyMeanNats, entropyMaxNats, nllMeanNats, usage } = attempt;
  return {
    requestId,
    model: asked.model,
    rolloutId: rollout.id,
    epoch: rollout.epoch,
    assignedAt,
    promptClass,
    unit,
    named,
    outcome: end.outcome,
    reason: end.reason,
    candidate: { versionId: rollout.candidate, ...end.figures },
    stable: {
      versionId: assignment.versionId,
      ...{ finishReason, ttftMs, interTokenMs, tokens, entropyMeanNats, entropyMaxNats, nllMeanNats },
      inputTokens: usage?.inputTokens ?? null,
      outputTokens: usage?.outputTokens ?? tokens,
      totalMs,
    },
  };
}
