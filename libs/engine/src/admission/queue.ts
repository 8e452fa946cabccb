// Admission: what may wait, whose turn it is, and an honest answer at once to what cannot be done.
import type { Priority } from '../engine.js';
import { type Ask, classes, type EngineLoad, type Refusal } from './ask.js';
import { DeadlineHeap } from './deadline-heap.js';
import type { ExpectedOutput } from './expected-output.js';
import { FairTurns } from './fair-turns.js';
import { Outlook } from './outlook.js';
import type { Forecast } from './speed.js';
import type { Entry } from './tenant-line.js';

export interface AdmissionOptions {
  /** Bound of input and expected output tokens that wait. At least what the largest request has, or it is taken by an empty queue only. */
  readonly maxQueuedTokens: number;
  /** Bound of items, whatever their size. Default 4,096. */
  readonly maxItems?: number;
  /** Largest part of either bound that one tenant may hold, 0 to 1. Default 1/2. */
  readonly tenantShare?: number;
  /** Above 0. Default: everybody 1. */
  readonly weightOf?: (tenant: string) => number;
  /** Tokens that a tenant of weight 1 is served per round. Smaller: finer turns. Default 512. */
  readonly quantumTokens?: number;
  /** Part of the tokens served below `live` that shadows get while evaluations wait; 0: none. Default 1/16. */
  readonly shadowShare?: number;
  /** What others may do while a head waits for room. Defaults 8 and 2,000. */
  readonly maxPasses?: number;
  readonly maxPassMs?: number;
  readonly speed: Forecast;
  readonly expected: ExpectedOutput;
  /** What runs now; asked when a prediction is needed. */
  readonly load: () => EngineLoad;
}

export interface Queued<T> {
  readonly item: T;
  readonly ask: Ask;
  readonly waitedMs: number;
}

/** Left the queue without a turn: its caller is owed this answer. */
export interface Refused<T> extends Queued<T> {
  readonly refusal: Refusal;
}

export type Offer<T> = { readonly ok: true; readonly displaced: readonly Refused<T>[] } | ({ readonly ok: false } & Refusal);

export interface QueueCount {
  readonly items: number;
  readonly tokens: number;
}

/**
 * Bounded by tokens and items. `live` goes before `evaluation` goes before `shadow`, always, but for `shadowShare`: it never delays `live`, and an evaluation by one shadow at a time.
 * Inside a class tenants take turns (`FairTurns`), inside a tenant the first comes first.
 *
 * A tenant holds at most `tenantShare` of the queue, and once that is more than half full at most its weight among the tenants that wait; one item it may always
 * hold, and its own lower classes make room for its higher ones. A full queue displaces the newest items of lower classes, from the tenant that holds most for its weight.
 * An empty queue takes anything. No item leaves it but by `take`, `remove`, `expired` or as `displaced`.
 *
 * Not decided here: what is refused for other reasons (context overflow, limits of keys), and whole seconds on the wire.
 */
export class AdmissionQueue<T> {
  private readonly entries = new Map<Ask['id'], Entry<T>>();
  private readonly deadlines = new DeadlineHeap<Entry<T>>();
  private readonly turns: Readonly<Record<Priority, FairTurns<T>>>;
  private readonly outlook: Outlook;
  private readonly tenants = new Map<string, { readonly weight: number; items: number; tokens: number }>();
  private tokens = 0;
  /** Tokens that shadows are owed for evaluations served while they waited. */
  private shadowCredit = 0;
  private readonly maxItems: number;
  private readonly tenantShare: number;
  private readonly quantumTokens: number;
  private readonly shadowShare: number;

  constructor(private readonly options: AdmissionOptions) {
    const { maxItems = 4096, tenantShare = 0.5, quantumTokens = 512, shadowShare = 1 / 16, maxPasses = 8, maxPassMs = 2000 } = options;
    if (!(options.maxQueuedTokens > 0 && maxItems > 0 && quantumTokens > 0)) throw new RangeError('bounds and quantum must be above 0');
    if (!(tenantShare > 0 && tenantShare <= 1)) throw new RangeError(`tenantShare ${tenantShare} is not above 0 and up to 1`);
    if (!(shadowShare >= 0 && shadowShare < 1)) throw new RangeError(`shadowShare ${shadowShare} is not from 0 to below 1`);
    this.maxItems = maxItems;
    this.tenantShare = tenantShare;
    this.quantumTokens = quantumTokens;
    this.shadowShare = shadowShare;
    const turns = (): FairTurns<T> => new FairTurns({ quantumTokens, maxPasses, maxPassMs });
    this.turns = { live: turns(), evaluation: turns(), shadow: turns() };
    this.outlook = new Outlook(this.turns, options.speed, options.load);
  }

  get size(): number {
    return this.entries.size;
  }

  get queuedTokens(): number {
    return this.tokens;
  }

  ofClass(priority: Priority): QueueCount {
    const { items, tokens } = this.turns[priority];
    return { items, tokens };
  }

  ofTenant(tenant: string): QueueCount {
    const { items, tokens } = this.tenants.get(tenant) ?? { items: 0, tokens: 0 };
    return { items, tokens };
  }

  /** Queues the item, or says at once why not. What it displaced of lower classes is owed its refusal. O(tenants); throws for an id that waits already. */
  offer(item: T, ask: Ask, nowMs: number): Offer<T> {
    if (this.entries.has(ask.id)) throw new Error(`${ask.id} waits already`);
    const choices = ask.choices ?? 1;
    const outputTokens = choices * this.options.expected.of(ask.maxOutputTokens);
    const tokens = Math.max(1, ask.inputTokens + outputTokens);
    if (!Number.isFinite(tokens)) throw new RangeError(`${ask.id} asks for ${tokens} tokens`);
    const known = this.tenants.get(ask.tenant);
    const weight = known?.weight ?? this.weightOf(ask.tenant);

    const time = this.outlook.of(ask, { sequences: choices, inputTokens: ask.inputTokens, outputTokens }, weight);
    if (time.refusal) return { ok: false, ...time.refusal };

    const lower = classes.slice(classes.indexOf(ask.priority) + 1);
    const share = this.share(ask.tenant, weight, tokens);
    const yielding = sum(lower.map((priority) => this.turns[priority].lines.get(ask.tenant)));
    const held = { items: (known?.items ?? 0) - yielding.items, tokens: (known?.tokens ?? 0) - yielding.tokens };
    const below = sum(lower.map((priority) => this.turns[priority]));
    const firm = { items: this.size - below.items, tokens: this.tokens - below.tokens };
    const room = { tokens: this.options.maxQueuedTokens, items: this.maxItems };
    const full = surplus(firm, tokens, room);
    const over = surplus(held, tokens, share);
    if (full > 0 || over > 0) {
      // A tenant's own part drains only in its turns.
      const drainTokens = Math.max(full, (over * share.allWeights) / weight);
      return { ok: false, reason: full > 0 ? 'queue-full' : 'tenant-share', retryAfterMs: this.outlook.drainMs(drainTokens) };
    }

    const leaving: Entry<T>[] = [];
    const giveWay = (surplusNow: () => number, newest: () => Entry<T> | null): void => {
      for (let victim = newest(); victim && surplusNow() > 0; victim = newest()) leaving.push(this.forget(victim));
    };
    giveWay(
      () => surplus(this.ofTenant(ask.tenant), tokens, share),
      () => this.newest(lower, ask.tenant),
    );
    giveWay(
      () => surplus({ items: this.size, tokens: this.tokens }, tokens, room),
      () => this.newest(lower),
    );

    const latestStartMs = ask.deadlineMs === null ? Number.POSITIVE_INFINITY : nowMs + ask.deadlineMs - time.ownMs;
    const entry: Entry<T> = {
      item,
      ask,
      tokens,
      outputTokens,
      offeredAtMs: nowMs,
      latestStartMs,
      heapIndex: -1,
      line: null,
      previous: null,
      next: null,
    };
    this.remember(entry, weight);
    const displaced = leaving.map((one) => ({
      ...queued(one, nowMs),
      refusal: { reason: 'queue-full' as const, retryAfterMs: this.outlook.drainMs(one.tokens) },
    }));
    return { ok: true, displaced };
  }

  /**
   * Removes and returns the item whose turn it is and which `fits` now; null when nothing may start. Call until null. A class whose head
   * waits for room is passed by nothing lower. O(tenants) at worst.
   */
  take(nowMs: number, fits: (item: T, ask: Ask) => boolean = () => true): Queued<T> | null {
    for (const priority of this.order()) {
      const turns = this.turns[priority];
      const entry = turns.take(nowMs, (one) => fits(one.item, one.ask));
      if (entry) {
        this.settleShadowCredit(priority, entry.tokens);
        this.drop(entry);
        return queued(entry, nowMs);
      }
      // A shadow that does not fit loses its exceptional turn; an evaluation still may.
      if (turns.blocked && priority !== 'shadow') return null;
    }
    return null;
  }

  /** Cancels; undefined when it does not wait any more. O(1), O(tenants) for a tenant's last, O(log n) with a deadline. */
  remove(id: Ask['id']): T | undefined {
    const entry = this.entries.get(id);
    return entry && this.forget(entry).item;
  }

  /** Removes and returns what would be too late even if it began now. O(log n) each. Call before `take`. */
  expired(nowMs: number): Refused<T>[] {
    const late: Refused<T>[] = [];
    for (let entry = this.deadlines.soonest; entry && entry.latestStartMs < nowMs; entry = this.deadlines.soonest) {
      this.forget(entry);
      const needMs = (entry.ask.deadlineMs ?? 0) - (entry.latestStartMs - entry.offeredAtMs);
      late.push({ ...queued(entry, nowMs), refusal: { reason: 'deadline', retryAfterMs: this.outlook.drainMs(this.tokens), needMs } });
    }
    return late;
  }

  private share(tenant: string, weight: number, tokens: number): QueueCount & { readonly allWeights: number } {
    const { maxQueuedTokens } = this.options;
    let allWeights = weight;
    for (const [name, one] of this.tenants) if (name !== tenant) allWeights += one.weight;
    const crowded = this.tokens + tokens > maxQueuedTokens / 2 || this.size + 1 > this.maxItems / 2;
    const part = Math.min(this.tenantShare, crowded ? weight / allWeights : 1);
    return { tokens: part * maxQueuedTokens, items: part * this.maxItems, allWeights };
  }

  private order(): readonly Priority[] {
    const { evaluation, shadow } = this.turns;
    const owed = this.shadowCredit >= this.quantumTokens && shadow.items > 0 && !evaluation.blocked;
    return owed ? ['live', 'shadow', 'evaluation'] : classes;
  }

  private settleShadowCredit(priority: Priority, tokens: number): void {
    const { evaluation, shadow } = this.turns;
    if (priority === 'evaluation') this.shadowCredit += (tokens * this.shadowShare) / (1 - this.shadowShare);
    if (priority === 'shadow') this.shadowCredit -= tokens;
    // No debts and no savings from times when the two did not compete.
    if (priority !== 'live' && (evaluation.items === 0 || shadow.items === 0)) this.shadowCredit = 0;
  }

  /** The newest item of the lowest class, of one tenant or of the one that holds most for its weight. */
  private newest(priorities: readonly Priority[], tenant?: string): Entry<T> | null {
    for (const priority of priorities.toReversed()) {
      const { lines } = this.turns[priority];
      if (tenant !== undefined) {
        const line = lines.get(tenant);
        if (line?.tail) return line.tail;
        continue;
      }
      let most: { readonly tail: Entry<T> | null; readonly tokens: number; readonly weight: number } | null = null;
      for (const line of lines.values()) if (!most || line.tokens / line.weight > most.tokens / most.weight) most = line;
      if (most?.tail) return most.tail;
    }
    return null;
  }

  private weightOf(tenant: string): number {
    const weight = this.options.weightOf?.(tenant) ?? 1;
    if (!(weight > 0 && Number.isFinite(weight))) throw new RangeError(`the weight of tenant ${tenant} is ${weight}, it must be above 0`);
    return weight;
  }

  private remember(entry: Entry<T>, weight: number): void {
    const { ask, tokens } = entry;
    this.entries.set(ask.id, entry);
    this.deadlines.add(entry);
    this.turns[ask.priority].push(entry, weight);
    this.tokens += tokens;
    const tenant = this.tenants.get(ask.tenant) ?? { weight, items: 0, tokens: 0 };
    tenant.items += 1;
    tenant.tokens += tokens;
    this.tenants.set(ask.tenant, tenant);
  }

  private forget(entry: Entry<T>): Entry<T> {
    this.turns[entry.ask.priority].remove(entry);
    this.drop(entry);
    return entry;
  }

  private drop(entry: Entry<T>): void {
    const { ask, tokens } = entry;
    this.entries.delete(ask.id);
    this.deadlines.remove(entry);
    this.tokens -= tokens;
    const tenant = this.tenants.get(ask.tenant);
    if (!tenant) throw new Error(`tenant ${ask.tenant} of ${ask.id} is not counted`);
    tenant.items -= 1;
    tenant.tokens -= tokens;
    if (tenant.items === 0) this.tenants.delete(ask.tenant);
  }
}

/** Tokens that must go before one more item is within the room; anything is within it where there is nothing else. */
function surplus(count: QueueCount, moreTokens: number, room: QueueCount): number {
  if (count.items === 0) return 0;
  const mean = count.tokens / count.items;
  return Math.max(0, count.tokens + moreTokens - room.tokens, mean * (count.items + 1 - room.items));
}

function sum(counts: readonly (QueueCount | undefined)[]): QueueCount {
  return counts.reduce<QueueCount>((all, one) => ({ items: all.items + (one?.items ?? 0), tokens: all.tokens + (one?.tokens ?? 0) }), {
    items: 0,
    tokens: 0,
  });
}

function queued<T>(entry: Entry<T>, nowMs: number): Queued<T> {
  return { item: entry.item, ask: entry.ask, waitedMs: nowMs - entry.offeredAtMs };
}
