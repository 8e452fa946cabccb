// The heartbeat of the control plane: a round of looks each second, sooner when woken.
import { Inject, Injectable } from '@nestjs/common';
import { atMost, type Clock, Pulse } from '#libs/base';
import { type Log, QuietLog } from '#libs/telemetry';
import { CLOCK, LOG } from './core.js';
import { LookRound } from './look-round.js';
import type { Port } from './stores.js';

const tickMs = 1_000;
const drainLimitMs = 4_000;

@Injectable()
export class Ticker {
  private readonly quiet: QuietLog;
  private readonly pulse: Pulse;
  private answeredAtMs: number | null = null;

  constructor(
    @Inject(LookRound) private readonly round: Pick<Port<LookRound>, 'run' | 'settled' | 'release'>,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOG) log: Log,
  ) {
    this.quiet = new QuietLog(log, clock);
    this.pulse = new Pulse({
      clock,
      everyMs: tickMs,
      beat: async () => await this.tick(),
      onError: (error) => this.quiet.warn('rollouts cannot be looked at; trying again', error),
    });
  }

  start(): void {
    this.pulse.start();
  }

  /** Looks now instead of at the next second. Cheap to call often. */
  wake(): void {
    this.pulse.wake();
  }

  /** Milliseconds since the database last answered a round; null before the first. */
  get silentMs(): number | null {
    return this.answeredAtMs === null ? null : this.clock.monotonicMs() - this.answeredAtMs;
  }

  /** Begins no new round, lets decisions be written (4 s at most) and gives the leases back. */
  async close(): Promise<void> {
    await this.pulse.stop();
    await atMost(this.clock, drainLimitMs, this.round.settled());
    await this.round.release().catch((error: unknown) => {
      this.quiet.warn('leases could not be given back; they run out by themselves', error);
    });
  }

  private async tick(): Promise<void> {
    const { more } = await this.round.run(() => this.wake());
    this.answeredAtMs = this.clock.monotonicMs();
    if (more) this.wake();
  }
}
