// The mirrors of this gateway that run, and why they are taken back: users wait, the rollout is mirrored no more, the gateway stops.
import type { Clock } from '#libs/base';
import type { EnginePool } from '../engines/pool.js';
import { LiveLoad } from './live-load.js';
import type { Mirror } from './mirror.js';
import type { CancelReason } from './report.js';

/** Work that nobody waits for: a mirror, or the question to a judge about a live answer, whose one engine is both of the two. */
export interface RunningMirror {
  readonly kind: 'mirror' | 'judge';
  readonly mirror: Pick<Mirror, 'cancel'>;
  readonly rolloutId: string;
  readonly stable: string;
  readonly candidate: string;
  /** At the candidate, and at stable while it reads its own answer again. */
  readonly sequences: number;
  sequencesAtStable: number;
  /** Whom it is of, where a client named one. */
  readonly unit?: string;
}

const lookEveryMs = 50;
/** After users waited, so that mirrors do not fill every gap between two of their requests. */
const restMs = 1_000;

/** Both engines of a rollout count: they may share a machine. */
export class RunningMirrors {
  private readonly all = new Set<RunningMirror>();
  private readonly load: LiveLoad;
  /** Until when nothing is started beside a version, monotonic. */
  private readonly restUntilMs = new Map<string, number>();
  private timer: NodeJS.Timeout | null = null;

  constructor(
    pool: EnginePool,
    private readonly clock: Clock,
  ) {
    this.load = new LiveLoad(pool);
  }

  get size(): number {
    return this.all.size;
  }

  runsFor(rolloutId: string, unit: string): boolean {
    for (const one of this.all) if (one.rolloutId === rolloutId && one.unit === unit) return true;
    return false;
  }

  add(one: RunningMirror): void {
    this.all.add(one);
    this.timer ??= setInterval(() => this.look(), lookEveryMs);
  }

  delete(one: RunningMirror): void {
    this.all.delete(one);
    if (this.all.size > 0 || !this.timer) return;
    clearInterval(this.timer);
    this.timer = null;
  }

  /** Work that goes before mirrors was given to a version, or (below 0) is over. */
  live(versionId: string, sequences: number): void {
    this.load.add(versionId, sequences);
    if (sequences > 0 && this.all.size > 0) this.look(versionId);
  }

  /** Users wait at the version, or were refused: its mirrors end now, and there are none for a while. */
  giveWay(versionId: string): void {
    this.restUntilMs.set(versionId, this.clock.monotonicMs() + restMs);
    this.cancel('live', ({ stable, candidate }) => stable === versionId || candidate === versionId);
  }

  cancel(reason: CancelReason, which: (one: RunningMirror) => boolean = () => true): void {
    for (const one of this.all) if (which(one)) one.mirror.cancel(reason);
  }

  /** Whether users wait, or did a moment ago, at one of the two engines, each with the sequences of one more mirror. */
  mustWait({ stable, candidate, sequences, sequencesAtStable }: Omit<RunningMirror, 'mirror'>): boolean {
    const nowMs = this.clock.monotonicMs();
    for (const [versionId, untilMs] of this.restUntilMs) {
      if (untilMs <= nowMs) this.restUntilMs.delete(versionId);
      else if (versionId === stable || versionId === candidate) return true;
    }
    return this.waitsAt(stable, sequencesAtStable) || this.waitsAt(candidate, sequences);
  }

  private look(only?: string): void {
    const versions = new Set<string>();
    for (const { stable, candidate } of this.all) versions.add(stable).add(candidate);
    for (const versionId of versions) {
      if ((only === undefined || only === versionId) && this.waitsAt(versionId, 0)) this.giveWay(versionId);
    }
  }

  private waitsAt(versionId: string, more: number): boolean {
    let mirrored = more;
    for (const { stable, candidate, sequences, sequencesAtStable } of this.all) {
      if (candidate === versionId) mirrored += sequences;
      if (stable === versionId) mirrored += sequencesAtStable;
    }
    return this.load.waitsAt(versionId, mirrored);
  }
}
