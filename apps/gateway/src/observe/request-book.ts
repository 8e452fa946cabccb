// Counts how requests ended, by version. What began is either still running or in exactly one count.
import type { ServedVersion } from '#libs/rollout';
import { type Ending, type EndState, endStates } from './end-state.js';
import { LogHistogram, type Quantiles } from './log-histogram.js';

/** Versions come and go with rollouts; the counts of those that left longest ago are added up. */
const mostVersions = 256;

type Counts = Record<EndState, number>;

interface VersionCounts {
  readonly model: string;
  readonly label: string;
  readonly counts: Counts;
}

export interface RequestFigures {
  /** Since the start; each is in `inFlight` or in one end state of one row. */
  readonly begun: number;
  readonly inFlight: number;
  /** Requests that ended before a version was asked. */
  readonly withoutVersion: Counts;
  /** By version id. */
  readonly versions: Readonly<Record<string, VersionCounts>>;
  /** All versions that are no longer kept apart. */
  readonly olderVersions: Counts;
  /** Second tries: made, and refused because too many of the last seconds' requests were tried again. */
  readonly retries: { readonly made: number; readonly refused: number };
  /** What the gateway itself takes of a request's time, milliseconds: from the last byte of the body to the version's turn, and from the version's end to ours. */
  readonly overheadMs: Quantiles;
}

export class RequestBook {
  private begun = 0;
  private ended = 0;
  private retriesMade = 0;
  private retriesRefused = 0;
  private readonly withoutVersion = noCounts();
  private readonly olderVersions = noCounts();
  private readonly versions = new Map<string, VersionCounts>();
  private readonly overhead = new LogHistogram();

  get inFlight(): number {
    return this.begun - this.ended;
  }

  begin(): void {
    this.begun += 1;
  }

  /** Once for each `begin`. */
  end({ version, state }: Ending): void {
    this.ended += 1;
    const counts = version === null ? this.withoutVersion : this.countsOf(version);
    counts[state] += 1;
  }

  retried(made: boolean): void {
    if (made) this.retriesMade += 1;
    else this.retriesRefused += 1;
  }

  tookMs(overheadMs: number): void {
    this.overhead.add(overheadMs);
  }

  read(): RequestFigures {
    return {
      begun: this.begun,
      inFlight: this.inFlight,
      withoutVersion: this.withoutVersion,
      versions: Object.fromEntries(this.versions),
      olderVersions: this.olderVersions,
      retries: { made: this.retriesMade, refused: this.retriesRefused },
      overheadMs: this.overhead.quantiles(),
    };
  }

  private countsOf({ id, model, label }: ServedVersion): Counts {
    let known = this.versions.get(id);
    if (!known) {
      known = { model, label, counts: noCounts() };
      this.versions.set(id, known);
      if (this.versions.size > mostVersions) this.foldOldest();
    }
    return known.counts;
  }

  private foldOldest(): void {
    for (const [id, { counts }] of this.versions) {
      for (const state of endStates) this.olderVersions[state] += counts[state];
      this.versions.delete(id);
      return;
    }
  }
}

function noCounts(): Counts {
  return Object.fromEntries(endStates.map((state) => [state, 0])) as Counts;
}
