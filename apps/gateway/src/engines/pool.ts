// The engines of one gateway follow the routing table: what it names is loaded, what it no longer names is drained and unloaded.
import { z } from 'zod';
import type { Clock, Fault } from '#libs/base';
import { type VersionSpec, versionSpec } from '#libs/contract';
import { createEngine, type EngineCapabilities, EngineError, type EngineSpec, type EngineStats, type InferenceEngine } from '#libs/engine';
import type { RoutingTable, ServedVersion } from '#libs/rollout';
import type { EngineReport } from '#libs/storage';
import type { Log } from '#libs/telemetry';
import { Breaker } from './breaker.js';
import { ColdStart } from './cold-start.js';

const drainMs = 60_000;
const shortestPauseMs = 15_000;
/** Pause after a failed try in units of what it took: a version that cannot be loaded costs a fifth of a core at most. */
const pausePerTry = 4;

/** Makes an engine for a spec; tests give their own. */
export type EngineFactory = (spec: EngineSpec, version: ServedVersion) => ReturnType<typeof createEngine>;

/** One version that this gateway serves. */
export interface Served {
  readonly version: ServedVersion;
  readonly spec: VersionSpec;
  readonly engine: InferenceEngine | null;
  readonly breaker: Breaker;
  readonly cold: ColdStart;
}

interface Trouble {
  readonly text: string;
  /** Its servers cannot be reached, which says nothing about the version. */
  readonly away: boolean;
}

interface Slot {
  version: ServedVersion;
  /** What requests are given; null until the spec was read. Made anew when it changes, not for each request. */
  served: Served | null;
  engine: InferenceEngine | null;
  /** Of the engine, kept up by its events: asking for all its figures costs more than everything else about a request's place. */
  state: EngineStats['state'] | null;
  /** Why it could not be loaded; null when it was. */
  trouble: Trouble | null;
  readonly breaker: Breaker;
  readonly cold: ColdStart;
  readonly stop: AbortController;
  /** What was reported last, and since when on the monotonic clock. */
  reported: { readonly state: EngineReport['state']; readonly sinceMs: number } | null;
}

/** One engine for operators: what it can do, and what it does. */
export interface EngineFigures {
  readonly model: string;
  readonly label: string;
  readonly kind: InferenceEngine['kind'];
  readonly capabilities: EngineCapabilities;
  readonly stats: EngineStats;
}

export class EnginePool {
  private readonly slots = new Map<string, Slot>();
  private readonly leaving = new Set<Promise<void>>();
  private closed = false;

  constructor(
    private readonly options: {
      readonly factory: EngineFactory;
      readonly clock: Clock;
      readonly log: Log;
      /** An engine's state changed: the controller wants to know before the next second. */
      readonly onChange: () => void;
    },
  ) {}

  /** Brings the engines in line with the table; returns at once, loading goes on behind. */
  follow(table: RoutingTable): void {
    if (this.closed) return;
    for (const [id, slot] of this.slots) {
      if (table.versions[id]) continue;
      this.slots.delete(id);
      this.leave(slot);
    }
    for (const version of Object.values(table.versions)) {
      if (!this.slots.has(version.id)) this.enter(version);
    }
    // A breaker speaks of one candidature: the next rollout of the same version starts anew.
    for (const route of table.routes) {
      if (route.rollout) this.slots.get(route.rollout.candidate)?.breaker.watch(route.rollout.id);
    }
  }

  find(versionId: string): Served | null {
    return this.slots.get(versionId)?.served ?? null;
  }

  /** Can take requests now or in a moment: ready, or coming back after a crash. */
  serves(versionId: string): boolean {
    const slot = this.slots.get(versionId);
    return (slot?.state === 'ready' || slot?.state === 'restarting') && !slot.breaker.open;
  }

  /** States by version id, as the controller reads them. */
  report(): Record<string, EngineReport> {
    const nowMs = this.options.clock.monotonicMs();
    return Object.fromEntries([...this.slots].map(([id, slot]) => [id, aged(slot, stateOf(slot), nowMs)]));
  }

  /** What each engine does right now, by version id. */
  figures(): Record<string, EngineFigures> {
    const figures: Record<string, EngineFigures> = {};
    for (const [id, { version, engine }] of this.slots) {
      if (!engine) continue;
      figures[id] = {
        model: version.model,
        label: version.label,
        kind: engine.kind,
        capabilities: engine.capabilities(),
        stats: engine.stats(),
      };
    }
    return figures;
  }

  private enter(version: ServedVersion): void {
    const slot: Slot = {
      version,
      served: null,
      engine: null,
      state: null,
      trouble: null,
      breaker: new Breaker(),
      cold: new ColdStart(),
      stop: new AbortController(),
      reported: null,
    };
    this.slots.set(version.id, slot);
    void this.load(slot);
  }

  /** Never rejects: a version that cannot be loaded is reported as failed and does not touch the others. Tried again while it stays in the table. */
  private async load(slot: Slot): Promise<void> {
    const { clock, log } = this.options;
    while (!slot.stop.signal.aborted) {
      const sinceMs = clock.monotonicMs();
      slot.trouble = await this.tryLoad(slot);
      this.options.onChange();
      if (slot.trouble === null || slot.stop.signal.aborted) return;
      log.error({ version: slot.version.label, model: slot.version.model }, `version cannot be served: ${slot.trouble.text}`);
      await clock.sleep(Math.max(shortestPauseMs, pausePerTry * (clock.monotonicMs() - sinceMs)), slot.stop.signal).catch(() => undefined);
    }
  }

  private async tryLoad(slot: Slot): Promise<Trouble | null> {
    const parsed = versionSpec.safeParse(slot.version.spec);
    if (!parsed.success) return { text: `the stored spec is not valid: ${z.prettifyError(parsed.error)}`, away: false };
    const served = { version: slot.version, spec: parsed.data, breaker: slot.breaker, cold: slot.cold };
    slot.served = { ...served, engine: slot.engine };
    try {
      const made = await this.options.factory(parsed.data.engine, slot.version);
      if (!made.ok) return { text: told({ ...made.fault, message: `${made.fault.code}: ${made.fault.message}` }), away: false };
      if (slot.stop.signal.aborted) return null;
      const engine = made.value;
      await slot.engine?.unload(0);
      slot.engine = engine;
      slot.served = { ...served, engine };
      slot.state = engine.stats().state;
      engine.onStateChange((stats) => {
        const { state } = stats;
        if (slot.engine === engine) {
          slot.state = state;
          slot.cold.look(stats);
        }
        if (state === 'unreachable' || state === 'ready') slot.breaker.outage(state === 'unreachable');
        this.options.onChange();
      });
      await engine.load(slot.stop.signal);
      return null;
    } catch (error) {
      if (error instanceof EngineError) return { text: told(error.fault), away: slot.engine?.stats().state === 'unreachable' };
      return { text: error instanceof Error ? error.message : String(error), away: false };
    }
  }

  private leave(slot: Slot): void {
    slot.stop.abort();
    const gone = (slot.engine?.unload(drainMs) ?? Promise.resolve()).finally(() => this.leaving.delete(gone));
    this.leaving.add(gone);
  }

  /** Unloads everything at once: callers drain first. */
  async close(): Promise<void> {
    this.closed = true;
    const slots = [...this.slots.values()];
    this.slots.clear();
    for (const slot of slots) slot.stop.abort();
    await Promise.all(slots.map(async (slot) => await slot.engine?.unload(0)));
    await Promise.all(this.leaving);
  }
}

function stateOf(slot: Slot): Omit<EngineReport, 'forS'> {
  const stats = slot.engine?.stats();
  // Endpoints that came back while others served changed nothing of the engine's state.
  if (stats) slot.cold.look(stats);
  const crashes = stats?.crashes ?? 0;
  if (slot.breaker.open) return { state: 'failed', reason: slot.breaker.reason, crashes, pid: stats?.pid ?? null };
  if (slot.trouble !== null && stats?.state !== 'ready') {
    return { state: slot.trouble.away ? 'unreachable' : 'failed', reason: slot.trouble.text, crashes, pid: null };
  }
  if (!stats) return { state: 'loading', reason: null, crashes: 0, pid: null };
  return { state: stats.state === 'idle' ? 'loading' : stats.state, reason: stats.reason, crashes, pid: stats.pid };
}

function aged(slot: Slot, report: Omit<EngineReport, 'forS'>, nowMs: number): EngineReport {
  if (slot.reported?.state !== report.state) slot.reported = { state: report.state, sinceMs: nowMs };
  return { ...report, forS: Math.floor((nowMs - slot.reported.sinceMs) / 1_000) };
}

/** A fault in one line. This is all that whoever registered the version gets to see of it, so field and remedy belong to it. */
function told({ message, field, remedy }: Fault): string {
  return [message, ...(field ? [`Field: ${field}.`] : []), ...(remedy ? [remedy] : [])].join(' ');
}

/** The real factory: files under the model roots, credentials from the gateway's environment. */
export function engineFactory(modelRoots: readonly string[], log: Log, freeGpuBytes: () => number | null): EngineFactory {
  return async (spec, version) =>
    await createEngine(spec, {
      modelRoots,
      credential: (name) => process.env[name],
      freeGpuBytes,
      log: log.child({ version: version.label, model: version.model }),
    });
}
