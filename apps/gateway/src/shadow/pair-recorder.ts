// Ended mirrors become windows of pairs: one addition each, and once a second all of them go to Postgres.
import { type BothOf, type MirroredPrompt, PairedBook, type PairedWindow } from '#libs/analysis';
import type { Clock } from '#libs/base';
import { PairedWindowStore } from '#libs/storage';
import type { Log } from '#libs/telemetry';
import type { DatabaseLink } from '../database-link.js';
import { Flush } from '../observe/flush.js';
import type { MirrorReport } from './report.js';

export class PairRecorder {
  private readonly book = new PairedBook();
  private readonly store = new PairedWindowStore();
  private readonly flush: Flush<PairedWindow>;

  constructor({ link, clock, log, bootId }: { link: DatabaseLink; clock: Clock; log: Log; bootId: string }) {
    this.flush = new Flush<PairedWindow>({
      what: 'windows of mirrored prompts',
      drain: () => this.book.drain(),
      write: async (seq, windows) => await this.store.insert((await link.use()).manager, bootId, seq, windows),
      clock,
      log,
    });
  }

  /** Windows lost to a full buffer since the start. */
  get droppedWindows(): number {
    return this.flush.dropped;
  }

  add(report: MirrorReport): void {
    this.book.add(promptOf(report));
  }

  start(): void {
    this.flush.start();
  }

  async close(): Promise<void> {
    await this.flush.close();
  }
}

/** A mirror that was taken back or had no room says nothing of the candidate, nor does a fault of this gateway. */
function promptOf({ rolloutId, promptClass, assignedAt, outcome, forced, stable, candidate }: MirrorReport): MirroredPrompt {
  const failed = outcome === 'failed' || outcome === 'timeout';
  return {
    rolloutId,
    promptClass,
    assignedAt,
    outcome: outcome === 'ok' ? 'pair' : failed ? 'failure' : 'none',
    // Where neither tells an exact entropy the NLL stands for it, as in the check of live answers.
    entropy: both(stable.entropyMeanNats, candidate.entropyMeanNats) ?? both(stable.nllMeanNats, candidate.nllMeanNats),
    length: { stable: stable.outputTokens, candidate: candidate.outputTokens },
    loopedStable: stable.looped,
    loopedCandidate: candidate.looped,
    forced: forced && {
      nll: both(forced.stable.nllMeanNats, forced.candidate.nllMeanNats),
      entropy: both(forced.stable.entropyMeanNats, forced.candidate.entropyMeanNats),
    },
  };
}

function both(stable: number | null, candidate: number | null): BothOf {
  return stable === null || candidate === null ? null : { stable, candidate };
}
