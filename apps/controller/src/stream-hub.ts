// One follower of the database for all open streams: rollouts that changed, decisions and looks, as server-sent events.
import { Inject, Injectable } from '@nestjs/common';
import { type Clock, Pulse } from '#libs/base';
import type { RolloutResource } from '#libs/contract';
import { Database, RolloutEventStore, RolloutStore } from '#libs/storage';
import { type Log, QuietLog } from '#libs/telemetry';
import { viewEvent } from './api/views.js';
import { CLOCK, LOG } from './core.js';
import { RolloutReader } from './rollout-reader.js';

export interface StreamMessage {
  readonly id: number;
  readonly event: 'rollout' | 'transition' | 'look';
  readonly data: unknown;
}

/** Takes a message; never blocks. */
export type Subscriber = (message: StreamMessage) => void;

const followMs = 1_000;
const batch = 500;
const recentlyEndedMs = 60_000;
const mostSubscribers = 256;

@Injectable()
export class StreamHub {
  private readonly rollouts = new RolloutStore();
  private readonly events = new RolloutEventStore();
  private readonly subscribers = new Set<Subscriber>();
  private readonly pulse: Pulse;
  private after: { event: number; look: number } | null = null;
  private shown = new Map<string, string>();
  private lastId = 0;

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(RolloutReader) private readonly reader: RolloutReader,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOG) log: Log,
  ) {
    const quiet = new QuietLog(log, clock);
    this.pulse = new Pulse({
      clock,
      everyMs: followMs,
      beat: async () => await this.follow(),
      onError: (error) => quiet.warn('the stream cannot follow the database; trying again', error),
    });
  }

  /** Subscribes until the returned function is called; null when too many listen already. */
  subscribe(subscriber: Subscriber): (() => void) | null {
    if (this.subscribers.size >= mostSubscribers) return null;
    this.subscribers.add(subscriber);
    this.pulse.start();
    this.wake();
    return () => this.subscribers.delete(subscriber);
  }

  /** What a new subscriber sees first: every rollout that runs or has just ended. */
  async opening(): Promise<StreamMessage[]> {
    return (await this.current()).map((resource) => this.message('rollout', resource));
  }

  wake(): void {
    this.pulse.wake();
  }

  async close(): Promise<void> {
    this.subscribers.clear();
    await this.pulse.stop();
  }

  /** Ids grow over restarts too, as long as the wall clock does. */
  private message(event: StreamMessage['event'], data: unknown): StreamMessage {
    this.lastId = Math.max(this.lastId + 1, this.clock.now() * 1000);
    return { id: this.lastId, event, data };
  }

  private async current(): Promise<RolloutResource[]> {
    return await this.reader.view(await this.rollouts.current(this.database.manager, recentlyEndedMs));
  }

  /** What is new since the last beat. Without anybody listening nothing is asked for, and the next listener begins afresh. */
  private async follow(): Promise<void> {
    if (this.subscribers.size === 0) {
      this.after = null;
      return;
    }
    const tx = this.database.manager;
    this.after ??= await this.events.newestIds(tx);
    const events = await this.events.since(tx, this.after.event, batch);
    for (const event of events) {
      const record = await this.rollouts.get(tx, event.rolloutId);
      if (record) this.send(this.message('transition', viewEvent(record, event)));
      this.after = { ...this.after, event: event.id };
    }
    const looks = await this.events.looksSince(tx, this.after.look, batch);
    for (const look of looks) {
      this.send(this.message('look', { rolloutId: look.rolloutId, evidence: look.evidence }));
      this.after = { ...this.after, look: look.id };
    }
    const shown = new Map<string, string>();
    for (const resource of await this.current()) {
      // The sentence counts seconds; it alone is no news.
      const key = JSON.stringify({ ...resource, sentence: null });
      shown.set(resource.id, key);
      if (this.shown.get(resource.id) !== key) this.send(this.message('rollout', resource));
    }
    this.shown = shown;
  }

  private send(message: StreamMessage): void {
    for (const subscriber of this.subscribers) subscriber(message);
  }
}
