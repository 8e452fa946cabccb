// Decides a rollout again from what is stored: windows, epochs, frozen scores, events. The same code as live, so the same decisions, byte for byte.
import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Ledger, type Window } from '#libs/analysis';
import { type Clock, fail, type Outcome, ok } from '#libs/base';
import type { ReplayResource } from '#libs/contract';
import { type Evidence, type Plan, type Reason, Walk } from '#libs/rollout';
import { Database, type RolloutEpoch, type RolloutEventRecord, type RolloutRecord } from '#libs/storage';
import { CLOCK } from './core.js';
import { jsonSafe, judgedPart, judgeOptions } from './evidence.js';
import { withExposure } from './reconciler.js';
import { newLedger } from './rollout-memory.js';
import { type ControlDatabase, type ControlStores, STORES } from './stores.js';

/** One stored instant: a decision, or a look that changed nothing. */
interface Instant {
  readonly evidence: Evidence;
  readonly event: RolloutEventRecord | null;
}

type Made = ReplayResource['decisions'][number]['recorded'];

const mostEvents = 2_000;
/** Looks beyond are left out evenly; decisions never are. */
const mostLooks = 400;
const breathMs = 15;

@Injectable()
export class RolloutReplay {
  /** One at a time: each reads all windows of its rollout. */
  private turn: Promise<unknown> = Promise.resolve();

  constructor(
    @Inject(Database) private readonly database: ControlDatabase,
    @Inject(STORES) private readonly stores: Pick<ControlStores, 'rollouts' | 'events' | 'windows'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Replays by the recorded plan, or by `other`. Faults: `evidence.expired` when windows that decided are gone. Cost: a second for a day of a busy rollout. */
  async run(record: RolloutRecord, other: Plan | null): Promise<Outcome<ReplayResource>> {
    const mine = this.turn.then(async () => await this.replay(record, other));
    this.turn = mine.catch(() => undefined);
    return await mine;
  }

  private async replay(record: RolloutRecord, other: Plan | null): Promise<Outcome<ReplayResource>> {
    const { manager: tx } = this.database;
    const plan = other ?? record.plan;
    const epochs = await this.stores.rollouts.epochs(tx, record.id);
    const instants = await this.instants(tx, record.id);
    const walk = new Walk({ ...record, plan });
    const sight = new Sight(tx, this.stores, record, plan);
    const result = { decisions: [] as ReplayResource['decisions'], looks: { compared: 0, different: 0 } };
    let weight = 0;
    let exposed = false;
    let leavesAt: number | null = null;
    let sinceMs = this.clock.monotonicMs();
    for (const { evidence: recorded, event } of instants) {
      const known = epochs.filter(({ epoch }) => epoch <= recorded.epoch);
      const scores = exposed ? record.scores : null;
      const evidence = await sight.again(recorded, known, scores);
      if (evidence === null) return expired(record.id);
      const since = known.at(-1)?.since ?? record.createdAt;
      const was = event
        ? { transition: event.transition as Exclude<typeof event.transition, 'create'>, weight: event.weight }
        : { transition: 'hold' as const, weight };
      const step = walk.step(evidence, since, was);
      const replayed = madeOf(
        step.decision.transition,
        step.decision.next.phase,
        step.weight,
        withExposure(step.decision.reason, evidence.at, sight.firstCandidateAt),
      );
      const evidenceSame = other !== null || canonical(evidence) === canonical(recorded);
      if (event) {
        const then = madeOf(event.transition, event.toPhase, event.weight, event.reason);
        const same = step.follows && evidenceSame && (other !== null || canonical(then) === canonical(replayed));
        result.decisions.push({
          seq: event.seq,
          at: recorded.at,
          recorded: then,
          replayed,
          same,
          judged: recorded.watermark ? 'windows' : 'recorded',
        });
      } else {
        result.looks.compared += 1;
        if (!step.follows || !evidenceSame) result.looks.different += 1;
        if (!step.follows) {
          const stayed = madeOf('hold', replayed.toPhase, weight, {});
          result.decisions.push({
            seq: null,
            at: recorded.at,
            recorded: stayed,
            replayed,
            same: false,
            judged: recorded.watermark ? 'windows' : 'recorded',
          });
        }
      }
      if (!step.follows) {
        leavesAt = recorded.at;
        break;
      }
      weight = step.weight;
      exposed ||= weight > 0;
      if (this.clock.monotonicMs() - sinceMs < breathMs) continue;
      await this.clock.sleep(0);
      sinceMs = this.clock.monotonicMs();
    }
    const same = leavesAt === null && result.looks.different === 0 && result.decisions.every((decision) => decision.same);
    return ok({
      rolloutId: record.id,
      plan: other ? 'other' : 'recorded',
      ...result,
      same,
      leavesAt,
      note: noteOf(other !== null, same, leavesAt),
    });
  }

  /** Decisions with evidence and stored looks, oldest first. */
  private async instants(tx: EntityManager, id: string): Promise<Instant[]> {
    const events = await this.stores.events.list(tx, id, { limit: mostEvents });
    const looks = await this.stores.events.looks(tx, id, mostLooks * 5);
    const every = Math.max(1, Math.ceil(looks.length / mostLooks));
    const decided: Instant[] = events.flatMap((event) => (event.evidence ? [{ evidence: event.evidence, event }] : []));
    const last = decided.at(-1)?.evidence.at ?? 0;
    const seen: Instant[] = looks.filter((_, index) => index % every === 0).map(({ evidence }) => ({ evidence, event: null }));
    // After the end nothing is looked at.
    const ended = events.at(-1)?.toPhase ?? '';
    const over = ['promoted', 'rolledBack', 'aborted'].includes(ended);
    return [...decided, ...seen.filter(({ evidence }) => !over || evidence.at < last)].toSorted((a, b) => a.evidence.at - b.evidence.at);
  }
}

/** Windows as they had committed at one watermark after another. */
class Sight {
  private readonly ledger: Ledger;
  private seen: string | null = null;

  constructor(
    private readonly tx: EntityManager,
    private readonly stores: Pick<ControlStores, 'windows'>,
    private readonly record: RolloutRecord,
    private readonly plan: Plan,
  ) {
    this.ledger = newLedger({ plan });
  }

  get firstCandidateAt(): number | null {
    return this.ledger.firstCandidateAt;
  }

  /** The evidence of an instant, judged again; null when windows that it rested on are gone. Evidence without a watermark is taken as it was. */
  async again(recorded: Evidence, epochs: readonly RolloutEpoch[], scores: RolloutRecord['scores']): Promise<Evidence | null> {
    if (!recorded.watermark) return recorded;
    this.ledger.add(await this.news(recorded.watermark));
    const options = judgeOptions({ epoch: recorded.epoch, scores, plan: this.plan }, epochs, recorded.at);
    const judged = jsonSafe(judgedPart(this.ledger, { ...options, interval: true }));
    const { stable, candidate } = judged.counts;
    if (stable < recorded.counts.stable || candidate < recorded.counts.candidate) return null;
    return { ...recorded, ...judged };
  }

  private async news(watermark: string): Promise<Window[]> {
    const { windows } = this.stores;
    const before = this.seen;
    this.seen = watermark;
    return before === null
      ? await windows.seenAt(this.tx, [this.record.id], watermark)
      : await windows.committedBetween(this.tx, [this.record.id], before, watermark);
  }
}

function madeOf(transition: string, toPhase: string, weight: number, reason: Reason | Record<string, never>): Made {
  return { transition, toPhase, weight, reason: { ...reason } };
}

/** One text for one value: the database keeps keys in an order of its own. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

function expired(id: string): Outcome<never> {
  return fail({
    code: 'evidence.expired',
    message: `Windows that decided rollout ${id} are no longer stored.`,
    remedy: 'Its decisions and their evidence are: GET /api/v1/rollouts/{id}/events. Keep windows for longer with SERIN_KEEP_WINDOWS_DAYS.',
  });
}

function noteOf(other: boolean, same: boolean, leavesAt: number | null): string {
  if (!other)
    return same ? 'Every decision was made again as it was recorded.' : 'History does not hold: see the decisions that are not the same.';
  if (leavesAt === null) return 'This plan would have decided the same throughout.';
  return `This plan would have decided otherwise at ${new Date(leavesAt).toISOString()}. What would have happened after is unknown: the traffic would have been another.`;
}
