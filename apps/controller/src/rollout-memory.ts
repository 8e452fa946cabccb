// What one controller remembers of the rollouts it looks at, so that a look reads only what is new. Cheap to lose: everything here can be read again.
import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { type FrozenScores, fitScores, HistogramFormatError, Ledger, type Window } from '#libs/analysis';
import type { Evidence } from '#libs/rollout';
import type { DueRollout, GatewayRow, RolloutEpoch, RolloutRecord } from '#libs/storage';
import { healthOf } from './evidence.js';
import { type ShadowSight, shadowSight, waitsForMirrors } from './shadow-sight.js';
import { type ControlStores, STORES } from './stores.js';

/** One rollout as this controller knows it. */
export interface Remembered {
  readonly record: RolloutRecord;
  readonly ledger: Ledger;
  readonly epochs: readonly RolloutEpoch[];
  readonly gate: Evidence['gate'];
  readonly reference: Reference;
  /** Null while mirrors are not asked. */
  readonly shadow: ShadowSight | null;
  /** When its newest look was stored, by the database's clock; null when this controller stored none yet. */
  readonly lookKeptAt: number | null;
  readonly looksKept: number;
  readonly dueAt: number;
}

/** How thick stable's reference is, and scores fitted on it that wait to be frozen. */
export interface Reference {
  readonly responses: number;
  readonly fitted: FrozenScores | undefined;
  /** Not asked again before, by the database's clock. */
  readonly againAt: number;
}

/** What all looks of one round share. */
export interface Surroundings {
  /** By the database's clock, in whole milliseconds; nothing that is judged is younger. */
  readonly at: number;
  /** Which windows had committed: replays see the same. */
  readonly snapshot: string;
  readonly gateways: readonly GatewayRow[];
  readonly incarnation: string;
}

/** What a round can look at, and what could not be read. */
export interface Refreshed {
  readonly around: Surroundings;
  readonly rollouts: readonly Remembered[];
  readonly failures: readonly { readonly id: string; readonly error: unknown }[];
}

const noReference: Reference = { responses: 0, fitted: undefined, againAt: 0 };
/** Rollouts whose windows are read whole in one statement. */
const wholeReads = 16;
/** A reference is counted this often while it is thin, and fitted again this often while its rollout waits for something else. */
const thinAgainMs = 2_000;
const fitAgainMs = 60_000;
const mostFits = 8;
/** Not due for so long: somebody else looks at it by now. */
const forgetMs = 60_000;

function xminOf(snapshot: string): bigint {
  return BigInt(snapshot.split(':')[0] ?? '0');
}

@Injectable()
export class RolloutMemory {
  private readonly known = new Map<string, Remembered>();
  /** All ledgers hold exactly what had committed then. */
  private snapshot: string | null = null;
  private incarnation: string | null = null;

  constructor(@Inject(STORES) private readonly stores: ControlStores) {}

  /** Number of rollouts held in memory. */
  get size(): number {
    return this.known.size;
  }

  forget(ids: readonly string[]): void {
    for (const id of ids) this.known.delete(id);
  }

  /** A look of this rollout was stored. */
  noteKept(id: string, at: number): number {
    const one = this.known.get(id);
    if (!one) return 0;
    this.known.set(id, { ...one, lookKeptAt: at, looksKept: one.looksKept + 1 });
    return one.looksKept + 1;
  }

  /**
   * Brings everything that is due up to date. A fixed number of statements for rollouts that are known; those that are not, or that somebody
   * else looked at in between (the caller forgets them), are read whole. The due rollouts are answered in the order asked.
   */
  async refresh(tx: EntityManager, due: readonly DueRollout[]): Promise<Refreshed> {
    const records = await this.records(tx, due);
    const gateways = await this.stores.gateways.list(tx);
    const mark = await this.stores.routing.mark(tx);
    // Last: nothing read below may be younger than this instant.
    const { snapshot, at } = await this.stores.windows.instant(tx);
    // A database that knows less than before was restored or failed over: what is in memory may never have happened. Its transaction numbers may have
    // passed the old ones meanwhile; its incarnation is another.
    const incarnation = mark?.incarnation ?? '';
    const backwards = this.snapshot !== null && xminOf(snapshot) < xminOf(this.snapshot);
    if (backwards || (this.incarnation !== null && this.incarnation !== incarnation)) this.known.clear();
    this.incarnation = incarnation;
    for (const [id, one] of this.known) if (at - one.dueAt > forgetMs) this.known.delete(id);
    const failures = await this.catchUp(tx, records, snapshot);
    await this.readAround(tx, records, at);
    const around: Surroundings = { at, snapshot, gateways, incarnation };
    await this.readShadows(tx, records, at);
    await this.fitReferences(tx, records, around);
    return { around, rollouts: records.flatMap(({ id }) => this.known.get(id) ?? []), failures };
  }

  /** Rows of the due rollouts: from memory where the revision is the same, for it grows with everything that matters. */
  private async records(tx: EntityManager, due: readonly DueRollout[]): Promise<RolloutRecord[]> {
    const changed = due.filter(({ id, revision }) => this.known.get(id)?.record.revision !== revision);
    const read = new Map(
      (
        await this.stores.rollouts.many(
          tx,
          changed.map(({ id }) => id),
        )
      ).map((record) => [record.id, record]),
    );
    return due.flatMap(({ id }) => {
      const record = read.get(id) ?? this.known.get(id)?.record;
      return record && record.endedAt === null ? [record] : [];
    });
  }

  /** Makes every ledger hold exactly what had committed at `snapshot`, or forgets it. */
  private async catchUp(tx: EntityManager, records: readonly RolloutRecord[], snapshot: string): Promise<{ id: string; error: unknown }[]> {
    const fresh = new Set(records.map(({ id }) => id).filter((id) => !this.known.has(id)));
    const held = [...this.known.keys()];
    if (this.snapshot !== null && held.length > 0) {
      try {
        const windows = await this.stores.windows.committedBetween(tx, held, this.snapshot, snapshot);
        for (const [id, own] of byRollout(windows)) this.known.get(id)?.ledger.add(own);
      } catch (error) {
        if (!(error instanceof HistogramFormatError)) throw error;
        // One corrupt row: which rollout it belongs to shows when each is read by itself.
        for (const id of held) if (records.some((record) => record.id === id)) fresh.add(id);
        this.known.clear();
      }
    }
    this.snapshot = snapshot;
    const failures: { id: string; error: unknown }[] = [];
    const unread = records.filter(({ id }) => fresh.has(id));
    for (let first = 0; first < unread.length; first += wholeReads)
      failures.push(...(await this.readWhole(tx, unread.slice(first, first + wholeReads), snapshot)));
    return failures;
  }

  private async readWhole(
    tx: EntityManager,
    records: readonly RolloutRecord[],
    snapshot: string,
  ): Promise<{ id: string; error: unknown }[]> {
    try {
      const windows = byRollout(
        await this.stores.windows.seenAt(
          tx,
          records.map(({ id }) => id),
          snapshot,
        ),
      );
      for (const record of records) {
        const ledger = newLedger(record);
        ledger.add(windows.get(record.id) ?? []);
        this.known.set(record.id, {
          record,
          ledger,
          epochs: [],
          gate: null,
          reference: noReference,
          shadow: null,
          lookKeptAt: null,
          looksKept: 0,
          dueAt: 0,
        });
      }
      return [];
    } catch (error) {
      if (!(error instanceof HistogramFormatError)) throw error;
      const [only] = records;
      if (records.length === 1 && only) return [{ id: only.id, error }];
      const failures: { id: string; error: unknown }[] = [];
      for (const record of records) failures.push(...(await this.readWhole(tx, [record], snapshot)));
      return failures;
    }
  }

  /** Epochs of those whose epoch moved, gates of those that wait for one. */
  private async readAround(tx: EntityManager, records: readonly RolloutRecord[], at: number): Promise<void> {
    const kept = records.filter(({ id }) => this.known.has(id));
    const moved = kept.filter(({ id, epoch }) => {
      const one = this.known.get(id);
      return one?.record.epoch !== epoch || one.epochs.length === 0;
    });
    const gated = kept.filter(({ id, plan }) => plan.gate && !this.known.get(id)?.gate);
    const epochs = await this.stores.rollouts.epochsOf(
      tx,
      moved.map(({ id }) => id),
    );
    const gates = await this.stores.evaluations.gatesOf(
      tx,
      gated.map(({ id }) => id),
    );
    for (const record of kept) {
      const one = this.known.get(record.id);
      if (!one) continue;
      this.known.set(record.id, {
        ...one,
        record,
        epochs: epochs.get(record.id) ?? one.epochs,
        gate: gates.get(record.id) ?? one.gate,
        dueAt: at,
      });
    }
  }

  /** Mirrors of rollouts in their shadow phase: few at once, so each is read by itself. */
  private async readShadows(tx: EntityManager, records: readonly RolloutRecord[], at: number): Promise<void> {
    for (const { id } of records) {
      const one = this.known.get(id);
      if (!one || !waitsForMirrors(one.record) || at < (one.shadow?.againAt ?? 0)) continue;
      this.known.set(id, { ...one, shadow: shadowSight(await this.stores.pairedWindows.ofRollout(tx, id), one.record, at) });
    }
  }

  /** Scores are chosen before the first live response or not at all: fitting later would let the data choose its own test. */
  private async fitReferences(tx: EntityManager, records: readonly RolloutRecord[], { at, gateways }: Surroundings): Promise<void> {
    const wanted = records
      .flatMap(({ id }) => this.known.get(id) ?? [])
      .filter(({ record, gate, reference }) => {
        if (record.scores || record.weight > 0 || at < reference.againAt) return false;
        return healthOf(record.candidateVersionId, 'candidate', gateways).state === 'ready' && (!record.plan.gate || gate !== null);
      });
    const since = (record: RolloutRecord): number => at - record.plan.reference.maxAgeS * 1000;
    const sizes = await this.stores.windows.referenceSizes(
      tx,
      wanted.map(({ record }) => ({ versionId: record.stableVersionId, sinceAt: since(record) })),
    );
    let fits = 0;
    for (const [index, one] of wanted.entries()) {
      const { record } = one;
      const responses = sizes[index] ?? 0;
      const { minResponses, minPerClass } = record.plan.reference;
      let fitted: FrozenScores | undefined;
      if (responses >= minResponses) {
        // The others come with the next rounds.
        if (fits >= mostFits) continue;
        fits += 1;
        fitted =
          fitScores(await this.stores.windows.referenceOf(tx, record.stableVersionId, since(record)), { minResponses, minPerClass }) ??
          undefined;
      }
      this.known.set(record.id, { ...one, reference: { responses, fitted, againAt: at + (fitted ? fitAgainMs : thinAgainMs) } });
    }
  }
}

/** An empty ledger for a rollout's plan. */
export function newLedger({ plan }: Pick<RolloutRecord, 'plan'>): Ledger {
  return new Ledger({ sliceMs: plan.checks.latency.blockS * 1000 });
}

function byRollout(windows: readonly Window[]): Map<string, Window[]> {
  const groups = new Map<string, Window[]>();
  for (const window of windows) {
    const id = window.key.rolloutId;
    if (id === null) continue;
    const group = groups.get(id);
    if (group) group.push(window);
    else groups.set(id, [window]);
  }
  return groups;
}
