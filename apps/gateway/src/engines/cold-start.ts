// The first answers of a replica that has just started find its caches empty: they are not compared by their times, with either arm's.
import type { EngineStats } from '#libs/engine';

/** Per start of a child process, and per endpoint of an upstream when it comes up. */
export const coldAnswers = 50;

/** Of one version on one gateway. Counted by assignment, so that the slow ones among the first are not taken for late warm ones. */
export class ColdStart {
  private left = 0;
  private ready = false;
  private pid: number | null = null;
  private readonly up = new Set<string>();

  /** Looks at the engine, at each change of its state and once a second: what came up since the last look is cold. Endpoints that are only ejected keep their caches. */
  look({ state, pid, endpoints }: Pick<EngineStats, 'state' | 'pid' | 'endpoints'>): void {
    if (state !== 'ready') {
      this.ready = false;
      if (!endpoints) return;
    }
    if (endpoints) {
      for (const { name, state: health } of endpoints) {
        if (health === 'down') this.up.delete(name);
        else if (state === 'ready' && !this.up.has(name)) {
          this.up.add(name);
          this.left += coldAnswers;
        }
      }
      return;
    }
    if (this.ready && this.pid === pid) return;
    this.ready = true;
    this.pid = pid;
    this.left += coldAnswers;
  }

  /** An answer is assigned to the version. True: it is a cold one. */
  take(): boolean {
    if (this.left === 0) return false;
    this.left -= 1;
    return true;
  }
}
