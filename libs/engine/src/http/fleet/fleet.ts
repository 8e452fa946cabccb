// The endpoints of one version as one: who takes a request, who waits, and who is left out because of how it answers.
import { type Clock, Crowd, type Rng } from '#libs/base';
import type { EngineLoad } from '../../admission/index.js';
import type { EndpointFigures, EngineFault, Priority } from '../../engine.js';
import { faultOf } from '../faults.js';
import { choose, hashOf } from './choose.js';
import { Endpoint, type EndpointSetup } from './endpoint.js';
import { isOutlier } from './first-tokens.js';
import { isShadow, type Lease, type LeaseRequest, type LeaseResult } from './lease.js';
import { type Landlord, Place } from './place.js';
import { Prober } from './prober.js';
import { Random } from './random.js';
import { RetryBudget } from './retry-budget.js';
import { grainOf, ServiceSpeed } from './service-speed.js';
import { usualTicket, WaitingRoom } from './waiting-room.js';

export interface FleetOptions {
  readonly endpoints: readonly EndpointSetup[];
  readonly clock: Clock;
  readonly rng: Rng;
  readonly contextSize: number | null;
  /** The servers have a page `health`. */
  readonly hasHealthPage: boolean;
  /** Told when the version stops or begins again to have an endpoint. */
  readonly onServing: (serving: boolean) => void;
}

/** What each class must leave free for those above it, as part of all places, rounded down. */
const reserved: Readonly<Record<Priority, number>> = { live: 0, evaluation: 1 / 8, shadow: 1 / 4 };
const tickMs = 50;
const drainPollMs = 20;
/** A first byte that is this late, and three times as late as usual, is a reason to look. */
const leastDoubtMs = 250;
const usualDoubtMs = 1_000;
const waitMemory = 32;
const settled = { cancel: (): void => undefined };

/** One per loaded version and gateway process. `tick` does what time does; `start` calls it. */
export class Fleet implements Landlord {
  private readonly endpoints: readonly Endpoint[];
  private readonly speed = new ServiceSpeed();
  private readonly retries = new RetryBudget();
  private readonly room: WaitingRoom;
  private readonly prober: Prober;
  private readonly running = new Crowd<Place>();
  private readonly stopping = new AbortController();
  private loop: Promise<void> | null = null;
  private serving: boolean;
  private closed = false;
  private pumping = false;
  private meanWaitMs: number | null = null;
  private readonly random: Random;

  constructor(private readonly options: FleetOptions) {
    const { endpoints, clock, rng, contextSize, hasHealthPage } = options;
    if (endpoints.length === 0) throw new Error('a version has at least one endpoint');
    this.endpoints = endpoints.map((setup) => new Endpoint(setup));
    const slots = endpoints.reduce((sum, { limit }) => sum + limit, 0);
    this.room = new WaitingRoom({ slots, contextSize, speed: this.speed, load: () => this.load() });
    this.random = new Random(rng);
    const { random } = this;
    this.prober = new Prober(this.endpoints, { clock, random, hasHealthPage, looked: (endpoint) => this.looked(endpoint) });
    this.serving = this.endpoints.some(({ limit }) => limit > 0);
  }

  /** Requests that endpoints hold. */
  get outstanding(): number {
    return this.running.size;
  }

  get queued(): number {
    return this.room.size;
  }

  get queuedTokens(): number {
    return this.room.queuedTokens;
  }

  get queuedLive(): number {
    return this.room.live;
  }

  /** Mean over the last grants; null before the first. */
  get queueWaitMs(): number | null {
    return this.meanWaitMs;
  }

  /** Why the version cannot be served; null when it can. */
  get trouble(): string | null {
    return this.serving ? null : this.unserved().message;
  }

  figures(): EndpointFigures[] {
    return this.endpoints.map((endpoint) => endpoint.figures());
  }

  /**
   * Calls `granted` before it returns when there is room, later in turn, or `refused`: exactly one of them, once, unless it is cancelled before. Refuses at
   * once what cannot be served in time (`engine.overloaded` with `retryAfterMs`) or by anybody (`engine.upstream-unreachable`).
   */
  acquire(request: LeaseRequest, granted: (lease: Lease) => void, refused: (fault: EngineFault) => void): { cancel(): void } {
    if (!this.serving || this.closed) {
      refused(this.unserved());
      return settled;
    }
    if (!isShadow(request)) this.retries.request();
    if (this.room.size === 0) {
      const endpoint = this.find(request);
      if (endpoint !== null) {
        granted(this.grant(endpoint, request, 0, false));
        return settled;
      }
    }
    const leave = this.room.join({ request, granted, refused }, this.options.clock.monotonicMs());
    this.pump();
    return { cancel: leave };
  }

  began(place: Place, ttftMs: number): void {
    const { endpoint } = place;
    const nowMs = this.options.clock.monotonicMs();
    if (place.unjudged) return;
    endpoint.answeredAtMs = nowMs;
    endpoint.firstTokens.add(ttftMs);
    const wasOut = endpoint.health.state !== 'up';
    endpoint.health.answered(nowMs);
    if (wasOut) this.changed(endpoint);
  }

  ended(place: Place, result: LeaseResult): void {
    const { endpoint, tokens, grantedAtMs } = place;
    const nowMs = this.options.clock.monotonicMs();
    const tookMs = nowMs - grantedAtMs;
    this.remove(place);
    endpoint.ended[result] += 1;
    if (place.unjudged) return this.changed(endpoint);
    switch (result) {
      case 'ok':
        endpoint.answeredAtMs = nowMs;
        endpoint.health.succeeded(nowMs);
        endpoint.ceiling.answered();
        this.speed.observe(tokens, tookMs);
        break;
      case 'cancelled':
        this.speed.observeAtLeast(tokens, tookMs);
        break;
      case 'refused':
        endpoint.ceiling.refused(endpoint.outstanding + 1, grantedAtMs, nowMs);
        if (endpoint.health.refused(grantedAtMs, nowMs)) this.eject(endpoint, 'it refuses every request');
        break;
      case 'failed':
        if (endpoint.health.failed(nowMs)) this.eject(endpoint, 'its requests fail');
        this.prober.doubt(endpoint, nowMs);
        break;
    }
    this.changed(endpoint);
  }

  spare(): boolean {
    return !this.closed && this.retries.retry();
  }

  again({ endpoint, request, waitedMs }: Place): Lease | null {
    if (this.closed) return null;
    const other = choose(this.endpoints, null, this.random, endpoint);
    if (other === null || !this.retries.retry()) return null;
    return this.grant(other, request, waitedMs, true);
  }

  /** Looks after the endpoints until `close`. */
  start(): void {
    this.loop ??= this.run();
  }

  /** What time brings: ends of waits and ejections, looks at health pages, doubts about who is silent or slow. */
  tick(): void {
    const nowMs = this.options.clock.monotonicMs();
    this.listen();
    const medians = this.endpoints.map(({ firstTokens }) => firstTokens.medianMs);
    for (const [index, endpoint] of this.endpoints.entries()) {
      const own = medians[index] ?? null;
      const others = medians.filter((_, other) => other !== index);
      endpoint.health.tick(nowMs);
      endpoint.measure();
      if (endpoint.health.state === 'up' && isOutlier(own, others)) this.eject(endpoint, 'its first tokens come late');
      if (this.isSilent(endpoint, nowMs, own ?? others.find((ms) => ms !== null) ?? null)) this.prober.doubt(endpoint, nowMs);
      this.changed(endpoint);
    }
    this.prober.tick(nowMs);
    this.room.expire(nowMs);
  }

  /** Takes no more requests, refuses those that wait, lets the others end within `drainMs`, then closes every connection. Never rejects. */
  async close(drainMs: number): Promise<void> {
    const { clock } = this.options;
    this.closed = true;
    this.room.dismiss(clock.monotonicMs(), this.unserved());
    const until = clock.monotonicMs() + drainMs;
    while (this.running.size > 0 && clock.monotonicMs() < until) await clock.sleep(drainPollMs);
    this.stopping.abort();
    await this.loop;
    await this.prober.stop();
    await Promise.all(this.endpoints.map(async ({ connection }) => await connection.close()));
  }

  private async run(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      this.tick();
      // An aborted sleep is the end.
      await this.options.clock.sleep(tickMs, this.stopping.signal).catch(() => undefined);
    }
  }

  private find({ affinity, ticket }: LeaseRequest): Endpoint | null {
    const priority = ticket?.priority ?? usualTicket.priority;
    if (priority !== 'live' && !this.hasRoom(priority)) return null;
    const key = this.endpoints.length > 1 ? (affinity?.() ?? null) : null;
    return choose(this.endpoints, key === null ? null : hashOf(key), this.random);
  }

  private readonly hasRoom = (priority: Priority): boolean => {
    let free = 0;
    let slots = 0;
    for (const { limit, outstanding } of this.endpoints) {
      slots += limit;
      free += Math.max(0, limit - outstanding);
    }
    return free > Math.floor(slots * reserved[priority]);
  };

  private grant(endpoint: Endpoint, request: LeaseRequest, waitedMs: number, second: boolean): Place {
    const place = new Place(this, endpoint, request, waitedMs, this.options.clock.monotonicMs(), second);
    this.running.join(place);
    endpoint.outstanding += 1;
    const mean = this.meanWaitMs ?? waitedMs;
    this.meanWaitMs = mean + (waitedMs - mean) / waitMemory;
    return place;
  }

  private remove(place: Place): void {
    this.running.leave(place);
    place.endpoint.outstanding -= 1;
  }

  /** Grants what waits while there is room. */
  private pump(): void {
    // A holder may give its place back before `granted` returns.
    if (this.pumping) return;
    this.pumping = true;
    const nowMs = this.options.clock.monotonicMs();
    try {
      this.room.expire(nowMs);
      for (let next = this.room.take(nowMs, this.hasRoom); next !== null; next = this.room.take(nowMs, this.hasRoom)) {
        const { request, granted } = next.waiting;
        const endpoint = this.find(request);
        if (endpoint === null) throw new Error('there was room a moment ago');
        granted(this.grant(endpoint, request, next.waitedMs, false));
      }
    } finally {
      this.pumping = false;
    }
  }

  /** At most half of the endpoints, and only while another one is up. */
  private eject(endpoint: Endpoint, reason: string): void {
    const others = this.endpoints.filter((one) => one !== endpoint).map(({ health }) => health.state);
    const out = others.filter((state) => state === 'ejected' || state === 'down').length;
    if (2 * (out + 1) > this.endpoints.length || !others.includes('up')) return;
    endpoint.health.eject(this.options.clock.monotonicMs(), reason, this.random.uniform());
    // Judged anew when it comes back.
    endpoint.firstTokens.clear();
  }

  private looked(endpoint: Endpoint): void {
    this.changed(endpoint);
    if (endpoint.health.state !== 'down') return;
    endpoint.firstTokens.clear();
    for (const place of this.running.members.filter((one) => one.endpoint === endpoint && one.silent)) {
      const { lost } = place;
      place.lost = null;
      lost?.();
    }
  }

  /** Brings what follows from an endpoint's state in line with it. */
  private changed(endpoint: Endpoint): void {
    if (endpoint.refresh()) {
      const serving = this.endpoints.some(({ limit }) => limit > 0);
      if (serving !== this.serving) {
        this.serving = serving;
        this.options.onServing(serving);
        if (!serving) this.room.dismiss(this.options.clock.monotonicMs(), this.unserved());
      }
    }
    if (this.room.size > 0) this.pump();
  }

  /** Since when each endpoint owes a first byte. */
  private listen(): void {
    for (const endpoint of this.endpoints) endpoint.silentSinceMs = null;
    for (const { silent, endpoint, grantedAtMs } of this.running.members) {
      if (silent) endpoint.silentSinceMs = Math.min(endpoint.silentSinceMs ?? grantedAtMs, grantedAtMs);
    }
  }

  private isSilent({ silentSinceMs, health }: Endpoint, nowMs: number, usualMs: number | null): boolean {
    if (silentSinceMs === null || health.state === 'down') return false;
    return nowMs - silentSinceMs > (usualMs === null ? usualDoubtMs : Math.max(leastDoubtMs, 3 * usualMs));
  }

  private unserved(): EngineFault {
    if (this.closed) return faultOf('engine.not-loaded', 'the version is being unloaded', { retryable: true });
    const states = this.endpoints.map(
      ({ name, health }) => `${name} is ${health.state}${health.reason === null ? '' : `: ${health.reason}`}`,
    );
    return faultOf('engine.upstream-unreachable', `no endpoint of the version can be used (${states.join('; ')})`, {
      retryable: true,
      retryAfterMs: 1_000,
    });
  }

  private load(): EngineLoad {
    const slots = this.endpoints.reduce((sum, { limit }) => sum + limit, 0);
    const grain = grainOf(slots);
    const nowMs = this.options.clock.monotonicMs();
    const running = [];
    for (let index = 0; index < this.running.size; index += grain) {
      const place = this.running.members[index];
      if (place) running.push(this.speed.left(place.tokens, nowMs - place.grantedAtMs, grain));
    }
    return { running, slots };
  }
}
