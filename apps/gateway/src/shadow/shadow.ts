// Mirrors a sampled share of stable's requests to a candidate that no user meets yet: after the answer, within a budget, and gone before users wait.
import type { Clock } from '#libs/base';
import type { GenerateRequest, Priority } from '#libs/engine';
import type { RoutingTable } from '#libs/rollout';
import type { Log } from '#libs/telemetry';
import type { Admitted } from '../completions/admit.js';
import type { Attempt } from '../completions/attempt.js';
import type { Deadlines } from '../completions/deadlines.js';
import type { EnginePool, Served } from '../engines/pool.js';
import type { KeptAnswer, KeptAnswers } from '../kept-answers/kept-answers.js';
import type { RoutingFeed } from '../routing/feed.js';
import type { FirstAnswers } from '../routing/first-answers.js';
import { estimateOf, type Hold, type MirrorEstimate, ShadowBudget } from './budget.js';
import { type Candidature, isMirrored } from './coin.js';
import { ShadowCounts, type ShadowFigures } from './counts.js';
import { type Reading, readingOf, type UnreadReason, unreadable } from './forced.js';
import { Mirror, type MirrorEnd } from './mirror.js';
import type { MirrorReport, SkipReason } from './report.js';
import type { RunningMirror, RunningMirrors } from './running-mirrors.js';

export interface ShadowParts {
  readonly feed: Pick<RoutingFeed, 'current'>;
  readonly pool: EnginePool;
  readonly deadlines: Deadlines;
  readonly keptAnswers: KeptAnswers;
  /** With what else nobody waits for. */
  readonly running: RunningMirrors;
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
  /** What `listen` gave for it. */
  readonly kept: KeptAnswer | null;
}

interface Started {
  readonly mirror: Mirror;
  readonly running: RunningMirror;
  readonly hold: Hold;
  readonly estimate: MirrorEstimate;
}

interface Candidate {
  readonly served: Served;
  readonly requests: readonly GenerateRequest[];
  readonly kept: KeptAnswer | null;
}

/** A mirror that takes longer holds its place in vain. */
const mirrorMs = 120_000;

export class Shadow {
  private readonly counts = new ShadowCounts();
  private readonly budgets = new Map<string, ShadowBudget>();
  /** What the newest table mirrors, by rollout. */
  private active: ReadonlyMap<string, Candidature> = new Map();
  private stopped = false;

  constructor(private readonly parts: ShadowParts) {}

  private get mirrors(): RunningMirrors {
    return this.parts.running;
  }

  /** A request was given to a version. Pair with `over`. */
  sent(versionId: string, sequences: number, priority: Priority): void {
    if (priority !== 'shadow') this.mirrors.live(versionId, sequences);
  }

  /** `refused`: for load, of which mirrors may be a part. */
  over(versionId: string, sequences: number, priority: Priority, refused: boolean): void {
    if (priority === 'shadow') return;
    this.mirrors.live(versionId, -sequences);
    if (refused && (this.active.size > 0 || this.mirrors.size > 0)) this.mirrors.giveWay(versionId);
  }

  /** Before it is asked: what must hear the answer, for both versions to read it; null: nobody will. */
  listen(admitted: Answered['admitted']): KeptAnswer | null {
    const { rollout, stable } = admitted.route;
    if (!rollout?.shadow?.scoring || !mayBeMirrored(admitted) || !isMirrored(rollout, admitted.unit)) return null;
    const [one, other] = [stable, rollout.candidate].map((id) => this.parts.pool.find(id ?? '')?.engine?.capabilities());
    return one && other && unreadable(one, other) === null ? this.parts.keptAnswers.keep() : null;
  }

  /** Takes an answered request for mirroring, or leaves it. Costs a hash; all else comes when the answer's bytes are on their way. */
  offer(answered: Answered): void {
    const { admitted, attempt, kept } = answered;
    const { rollout, stable } = admitted.route;
    const eligible = rollout?.shadow && stable !== null && mayBeMirrored(admitted) && attempt.outcome === 'ok';
    if (eligible) this.counts.eligible += 1;
    if (eligible && isMirrored(rollout, admitted.unit)) setImmediate(() => this.begin(answered, rollout, stable));
    else kept?.drop();
  }

  /** Takes back what the table mirrors no more. */
  follow(table: RoutingTable): void {
    this.active = new Map(table.routes.flatMap(({ rollout }) => (rollout?.shadow ? [[rollout.id, rollout] as const] : [])));
    this.mirrors.cancel('table', ({ kind, rolloutId }) => kind === 'mirror' && !this.active.has(rolloutId));
    for (const id of this.budgets.keys()) if (!this.active.has(id)) this.budgets.delete(id);
  }

  /** Mirrors end first when the gateway does. */
  stop(): void {
    this.stopped = true;
    this.mirrors.cancel('stopping');
  }

  figures(): ShadowFigures {
    return this.counts.read();
  }

  private begin(answered: Answered, rollout: Candidature, stable: string): void {
    let started: Started | SkipReason;
    try {
      started = this.start(answered, rollout, stable);
    } catch (error) {
      this.complain(error, answered);
      started = 'broken';
    }
    if (typeof started === 'string') {
      answered.kept?.drop();
      return this.counts.skip(started);
    }
    this.counts.start();
    this.mirrors.add(started.running);
    void this.run(answered, rollout, started);
  }

  private start(answered: Answered, rollout: Candidature, stable: string): Started | SkipReason {
    const { pool, clock, feed, deadlines, firstAnswers } = this.parts;
    const { requestId, admitted, attempt, kept } = answered;
    const { id, candidate } = rollout;
    const policy = this.active.get(id)?.shadow;
    if (this.stopped) return 'stopping';
    if (!policy) return 'table';
    const served = pool.find(candidate);
    if (!served?.engine || !pool.serves(candidate)) return 'notServed';
    const { asked, body, named, unit } = admitted;
    if (named && (firstAnswers.hasPair(rollout, unit) || this.mirrors.runsFor(id, unit))) return 'counted';
    const limits = deadlines.limits(mirrorMs, true);
    // A tenant of its own: mirrors of a user's requests take nothing of the user's share of a queue.
    const ticket = { tenant: `shadow ${id}`, priority: 'shadow', deadlineMs: limits.totalMs } as const;
    const requestsFor = ({ spec }: Pick<Served, 'spec'>) =>
      asked.requests(`shadow-${requestId}`, spec).map((request) => ({ ...request, ticket }));
    const requests = requestsFor(served);
    const reading = policy.scoring ? this.readingOf(pool.find(stable), { served, requests, requestsFor, kept }) : null;
    const reads = reading !== null && typeof reading !== 'string';
    if (!reads) kept?.drop();
    const sequences = { sequences: asked.choices, sequencesAtStable: reads ? 1 : 0 };
    const where = { kind: 'mirror' as const, rolloutId: id, stable, candidate, ...sequences, ...(named ? { unit } : {}) };
    if (this.mirrors.mustWait(where)) return 'live';
    const estimate = estimateOf(body.bytes.length, requests, reads ? attempt.tokens : null);
    const budget = this.budgets.get(id) ?? new ShadowBudget();
    this.budgets.set(id, budget);
    const hold = budget.take(policy, feed.current?.gateways ?? 1, estimate, clock.monotonicMs());
    if (typeof hold === 'string') return hold;
    const readDone = (): void => {
      kept?.drop();
      running.sequencesAtStable = 0;
    };
    const mirror = new Mirror({ engine: served.engine, requests, choices: asked.choices, reading, deadlines, limits, clock }, readDone);
    const running: RunningMirror = { mirror, ...where };
    return { mirror, running, hold, estimate };
  }

  private readingOf(
    stable: Served | null,
    { served, requests, requestsFor, kept }: Candidate & { requestsFor: (of: Served) => readonly GenerateRequest[] },
  ): Reading | UnreadReason {
    if (!stable?.engine || !served.engine) return 'engine';
    const engines = { stable: stable.engine, candidate: served.engine };
    return readingOf({ ...engines, stableRequests: requestsFor(stable), candidateRequests: requests, kept });
  }

  /** Never rejects: what breaks here is no matter of the requests that users sent. */
  private async run(answered: Answered, rollout: Candidature, { mirror, running, hold, estimate }: Started): Promise<void> {
    let end: MirrorEnd | null = null;
    try {
      end = await mirror.run();
    } catch (error) {
      this.complain(error, answered);
    }
    const { forced = null, figures } = end ?? {};
    const read = forced !== null && typeof forced !== 'string' ? forced : null;
    this.counts.reading(read ? 'read' : typeof forced === 'string' ? forced : null);
    const promptTokens = figures?.inputTokens ?? estimate.promptTokens;
    const tokens = promptTokens + (figures?.outputTokens ?? 0) + (read ? 2 * (promptTokens + read.tokens) : 0);
    hold.settle(tokens, this.parts.clock.monotonicMs());
    answered.kept?.drop();
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

/** Users' requests that stable was drawn for by no coin of the arms. */
function mayBeMirrored({ route, assignment, pinned, wishes }: Answered['admitted']): boolean {
  return assignment.versionId === route.stable && !pinned && wishes.priority === 'live';
}

function reportOf({ requestId, admitted, attempt, assignedAt, totalMs }: Answered, rollout: Candidature, end: MirrorEnd): MirrorReport {
  const { asked, assignment, promptClass, unit, named } = admitted;
  const { finishReason, ttftMs, interTokenMs, tokens, entropyMeanNats, entropyMaxNats, nllMeanNats, refused, looped, usage } = attempt;
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
    forced: typeof end.forced === 'string' ? null : end.forced,
    candidate: { versionId: rollout.candidate, ...end.figures },
    stable: {
      versionId: assignment.versionId,
      ...{ finishReason, ttftMs, interTokenMs, tokens, entropyMeanNats, entropyMaxNats, nllMeanNats, refused, looped },
      inputTokens: usage?.inputTokens ?? null,
      outputTokens: usage?.outputTokens ?? tokens,
      totalMs,
    },
  };
}
