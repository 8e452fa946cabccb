// One round of looks: everything that is due is claimed, read, judged and decided together; what changed nothing is written together, each change alone.
import { Inject, Injectable } from '@nestjs/common';
import { type Clock, type Ids } from '#libs/base';
import { type Decision, decide } from '#libs/rollout';
import { Database, type DueRollout, type HeldLook } from '#libs/storage';
import { type Log, QuietLog } from '#libs/telemetry';
import { CLOCK, IDS, LOG } from './core.js';
import { CRASH, type Crash } from './crash.js';
import { evidenceOf } from './evidence.js';
import { type Look, Reconciler } from './reconciler.js';
import { type Remembered, RolloutMemory, type Surroundings } from './rollout-memory.js';
import { withBands } from './shadow-sight.js';
import { type ControlDatabase, type ControlStores, type Port, STORES } from './stores.js';

/** What a round did, for measuring. Durations in milliseconds. */
export interface RoundReport {
  readonly claimed: number;
  readonly looked: number;
  readonly held: number;
  readonly moved: number;
  readonly readMs: number;
  readonly judgeMs: number;
  readonly writeMs: number;
  /** There may be more to claim at once. */
  readonly more: boolean;
}

const leaseMs = 5_000;
/** New rollouts taken over in one round: each is read whole. Others find theirs meanwhile, so that work spreads. */
const mostClaims = 64;
/** Decisions written at once. */
const mostWrites = 8;
/** Looks stored in one round; those that waited longest come first. */
const mostKept = 50;
const youngLookSpacingMs = 900;
const thinEvery = 64;
/** The longest stretch of judging before others get their turn. */
const breathMs = 15;

@Injectable()
export class LookRound {
  readonly owner: string;
  private readonly quiet: QuietLog;
  /** Decisions that are being written, by rollout: they are not looked at meanwhile. */
  private readonly writing = new Map<string, Promise<void>>();
  private readonly waiting: (() => Promise<void>)[] = [];
  private running = 0;

  constructor(
    @Inject(Database) private readonly database: ControlDatabase,
    @Inject(STORES) private readonly stores: ControlStores,
    @Inject(RolloutMemory) private readonly memory: Port<RolloutMemory>,
    @Inject(Reconciler) private readonly reconciler: Port<Reconciler>,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(IDS) ids: Ids,
    @Inject(LOG) log: Log,
    @Inject(CRASH) private readonly crash: Crash,
  ) {
    this.owner = ids.uuid();
    this.quiet = new QuietLog(log, clock);
  }

  /**
   * Looks at everything that is due. Rejects when the database does not answer; trouble with one rollout is said and left for the next round.
   * Decisions are being written when it resolves: `settled` waits for them. `onLost` is called when one came too late, for another look at once.
   */
  async run(onLost: () => void): Promise<RoundReport> {
    const { manager: tx } = this.database;
    const startedMs = this.clock.monotonicMs();
    const claimed = await this.stores.leases.claim(tx, { owner: this.owner, leaseMs, limit: mostClaims });
    // Others looked at these before, or nobody did.
    this.memory.forget(claimed.map(({ id }) => id));
    const due = (await this.stores.leases.due(tx, this.owner)).filter(({ id }) => !this.writing.has(id));
    const report = { claimed: claimed.length, more: claimed.length >= mostClaims };
    if (due.length === 0)
      return { ...report, looked: 0, held: 0, moved: 0, readMs: this.clock.monotonicMs() - startedMs, judgeMs: 0, writeMs: 0 };
    await this.crash('before-evidence', '');
    const { around, rollouts, failures } = await this.memory.refresh(tx, due);
    for (const { id, error } of failures) this.quiet.warn(`rollout ${id} could not be looked at; trying again`, error);
    await this.crash('after-evidence', '');
    const readMs = this.clock.monotonicMs() - startedMs;
    const { holds, kept, moves, judgeMs } = await this.judge(due, rollouts, around);
    for (const move of moves) this.write(move.look, move.decision, onLost);
    const writingMs = this.clock.monotonicMs();
    await this.stores.leases.hold(tx, holds, leaseMs);
    await this.keep(kept);
    await this.crash('after-hold', '');
    return {
      ...report,
      looked: rollouts.length,
      held: holds.length,
      moved: moves.length,
      readMs,
      judgeMs,
      writeMs: this.clock.monotonicMs() - writingMs,
    };
  }

  /** Resolves when no decision is being written. Never rejects. */
  async settled(): Promise<void> {
    while (this.writing.size > 0) await Promise.all(this.writing.values());
  }

  /** Gives all leases back. */
  async release(): Promise<void> {
    await this.stores.leases.releaseAll(this.database.manager, this.owner);
  }

  private async judge(
    due: readonly DueRollout[],
    rollouts: readonly Remembered[],
    around: Surroundings,
  ): Promise<{ holds: HeldLook[]; kept: KeptLook[]; moves: { look: Look; decision: Decision }[]; judgeMs: number }> {
    const leases = new Map(due.map((lease) => [lease.id, lease]));
    const toKeep = looksToKeep(rollouts, around.at);
    const holds: HeldLook[] = [];
    const kept: KeptLook[] = [];
    const moves: { look: Look; decision: Decision }[] = [];
    let judgeMs = 0;
    let sinceMs = this.clock.monotonicMs();
    for (const one of rollouts) {
      const { record } = one;
      const lease = leases.get(record.id);
      if (!lease) continue;
      try {
        const keep = toKeep.get(record.id);
        let evidence = evidenceOf(one, around, { interval: keep !== undefined });
        let decision = decide(record, evidence, around.at);
        const changes = decision.transition !== 'hold' || record.command !== null;
        if (changes && keep === undefined) {
          // What is stored tells how large the effects are; what only passes by need not.
          evidence = evidenceOf(one, around, { interval: true });
          decision = decide(record, evidence, around.at);
        }
        if (changes) {
          const { fitted } = one.reference;
          const scores = record.scores || !fitted ? undefined : withBands(fitted, one.shadow, record);
          moves.push({ look: { record, lease, evidence, scores, firstCandidateAt: one.ledger.firstCandidateAt }, decision });
        } else {
          holds.push({ ...lease, nextLookAt: decision.nextLookAt });
          if (keep !== undefined) kept.push({ rolloutId: record.id, evidence, spacingMs: keep });
        }
      } catch (error) {
        this.quiet.warn(`rollout ${record.id} could not be looked at; trying again`, error);
      }
      const nowMs = this.clock.monotonicMs();
      if (nowMs - sinceMs < breathMs) continue;
      judgeMs += nowMs - sinceMs;
      await this.clock.sleep(0);
      sinceMs = this.clock.monotonicMs();
    }
    return { holds, kept, moves, judgeMs: judgeMs + this.clock.monotonicMs() - sinceMs };
  }

  private async keep(looks: readonly KeptLook[]): Promise<void> {
    const { manager: tx } = this.database;
    await this.stores.events.keepLooks(tx, looks);
    for (const { rolloutId, evidence } of looks)
      if (this.memory.noteKept(rolloutId, evidence.at) % thinEvery === 0) await this.stores.events.thinLooks(tx, rolloutId);
  }

  /** Writes a decision beside the rounds, a few at a time: one that waits for a lock keeps nobody else waiting. */
  private write(look: Look, decision: Decision, onLost: () => void): void {
    const { id } = look.record;
    const work = async (): Promise<void> => {
      try {
        const result = await this.reconciler.settle(look, decision);
        if (result === 'lost') onLost();
      } catch (error) {
        this.quiet.warn(`what was decided of rollout ${id} may not have been written; looking again`, error);
      } finally {
        this.writing.delete(id);
      }
    };
    this.writing.set(
      id,
      new Promise<void>((done) => {
        this.waiting.push(async () => await work().finally(done));
      }),
    );
    this.startWaiting();
  }

  private startWaiting(): void {
    while (this.running < mostWrites) {
      const next = this.waiting.shift();
      if (!next) return;
      this.running += 1;
      void next().finally(() => {
        this.running -= 1;
        this.startWaiting();
      });
    }
  }
}

interface KeptLook {
  readonly rolloutId: string;
  readonly evidence: Look['evidence'];
  readonly spacingMs: number;
}

/** Spacing of the looks to be stored now, by rollout: dense while a rollout is young, and a bounded number in all. */
function looksToKeep(rollouts: readonly Remembered[], at: number): Map<string, number> {
  return new Map(
    rollouts
      .map(({ record, lookKeptAt }) => ({
        id: record.id,
        lookKeptAt,
        spacingMs: Math.max(youngLookSpacingMs, (at - record.createdAt) / 500),
      }))
      .filter(({ lookKeptAt, spacingMs }) => lookKeptAt === null || at - lookKeptAt >= spacingMs)
      .toSorted((a, b) => (a.lookKeptAt ?? 0) - (b.lookKeptAt ?? 0))
      .slice(0, mostKept)
      .map(({ id, spacingMs }) => [id, spacingMs]),
  );
}
