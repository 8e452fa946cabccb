// Says a repeated trouble at most once per interval, with how often it was swallowed: a dead database must not fill a disk with lines.
import type { Clock } from '#libs/base';
import type { Log } from './log.js';

const everyMs = 5_000;
const maxTopics = 64;

/** Warns about one topic at most every 5 seconds. */
export class QuietLog {
  private readonly last = new Map<string, { at: number; swallowed: number }>();

  constructor(
    private readonly log: Log,
    private readonly clock: Clock,
  ) {}

  /** `topic` is the message and the key; at most 64 are remembered. */
  warn(topic: string, error: unknown): void {
    const now = this.clock.monotonicMs();
    const known = this.last.get(topic);
    if (known && now - known.at < everyMs) {
      known.swallowed += 1;
      return;
    }
    if (this.last.size >= maxTopics && !known) this.last.clear();
    this.last.set(topic, { at: now, swallowed: 0 });
    this.log.warn({ err: error, repeated: known?.swallowed ?? 0 }, topic);
  }
}
