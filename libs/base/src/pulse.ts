// The heartbeat of everything that looks again and again: one beat at a time, sooner when woken, never stopped by a failure.
import type { Clock } from './clock.js';

export interface PulseOptions {
  readonly clock: Clock;
  /** Pause between the end of a beat and the next. */
  readonly everyMs: number;
  /** Pause after a beat that failed; default `everyMs`. */
  readonly afterFailureMs?: number;
  readonly beat: () => Promise<void>;
  /** Told of each beat that rejected. */
  readonly onError: (error: unknown) => void;
}

/** Beats do not overlap, and a wake-up during a beat is not lost: another follows at once. */
export class Pulse {
  private readonly stopping = new AbortController();
  private wakeUp = new AbortController();
  private loop: Promise<void> | null = null;

  constructor(private readonly options: PulseOptions) {}

  /** Aborts when the pulse is being stopped: beats may end early. */
  get signal(): AbortSignal {
    return this.stopping.signal;
  }

  /** The first beat begins at once. A second call does nothing. */
  start(): void {
    this.loop ??= this.run();
  }

  /** Beats now instead of at the next turn. Cheap to call often. */
  wake(): void {
    this.wakeUp.abort();
  }

  /** Resolves when the beat in progress has ended. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loop;
  }

  private async run(): Promise<void> {
    const { clock, everyMs, afterFailureMs = everyMs, beat, onError } = this.options;
    while (!this.stopping.signal.aborted) {
      this.wakeUp = new AbortController();
      let pauseMs = everyMs;
      try {
        await beat();
      } catch (error) {
        pauseMs = afterFailureMs;
        onError(error);
      }
      // An aborted sleep is a wake-up, not a failure.
      await clock.sleep(pauseMs, AbortSignal.any([this.wakeUp.signal, this.stopping.signal])).catch(() => undefined);
    }
  }
}
