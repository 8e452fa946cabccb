// Whether users wait at an engine: then nothing may run there that nobody waits for.
import type { EnginePool } from '../engines/pool.js';

export class LiveLoad {
  /** Sequences of requests that run or wait, by version. */
  private readonly sequences = new Map<string, number>();

  constructor(private readonly pool: EnginePool) {}

  add(versionId: string, sequences: number): void {
    const now = (this.sequences.get(versionId) ?? 0) + sequences;
    if (now > 0) this.sequences.set(versionId, now);
    else this.sequences.delete(versionId);
  }

  /** `mirrored`: sequences of mirrors at the same engine. */
  waitsAt(versionId: string, mirrored: number): boolean {
    const engine = this.pool.find(versionId)?.engine;
    if (!engine) return false;
    if ((engine.stats().queuedLive ?? 0) > 0) return true;
    // The figures of a child process are seconds old. What was sent there is known at once, and what it can run at a time.
    const { maxParallel } = engine.capabilities();
    return engine.kind === 'native' && maxParallel !== null && (this.sequences.get(versionId) ?? 0) + mirrored > maxParallel;
  }
}
