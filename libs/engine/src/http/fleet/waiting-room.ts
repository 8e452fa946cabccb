// Requests for which no endpoint has room: queued by the rules of admission, granted in turn, refused with the time when it would fit.
import { AdmissionQueue, type EngineLoad, ExpectedOutput, type Forecast, type Refusal } from '../../admission/index.js';
import type { EngineFault, Priority, Ticket } from '../../engine.js';
import { faultOf } from '../faults.js';
import type { Lease, LeaseRequest } from './lease.js';

export interface Waiting {
  readonly request: LeaseRequest;
  readonly granted: (lease: Lease) => void;
  readonly refused: (fault: EngineFault) => void;
}

/** Served by nobody in particular. */
export const usualTicket: Ticket = { tenant: '', priority: 'live', deadlineMs: null };

/** Waiting requests per place, and the tokens each may have on average: beyond, nobody would still want the answer. */
const turnsAhead = 8;
const usualContext = 8_192;
const leastItems = 64;
const mostItems = 4_096;

const words: Readonly<Record<Refusal['reason'], string>> = {
  'queue-full': 'the queue is full',
  'tenant-share': 'this tenant has its share of the queue',
  deadline: 'it cannot be done in time behind what waits already',
};

export class WaitingRoom {
  private readonly queue: AdmissionQueue<Waiting>;
  private nextId = 0;

  constructor({
    slots,
    contextSize,
    speed,
    load,
  }: {
    /** Of all endpoints together when all are up. */
    readonly slots: number;
    readonly contextSize: number | null;
    readonly speed: Forecast;
    readonly load: () => EngineLoad;
  }) {
    this.queue = new AdmissionQueue({
      maxQueuedTokens: turnsAhead * slots * (contextSize ?? usualContext),
      maxItems: Math.min(mostItems, Math.max(leastItems, turnsAhead * slots)),
      speed,
      // Requests come with their expected output in their tokens already.
      expected: new ExpectedOutput(),
      load,
    });
  }

  get size(): number {
    return this.queue.size;
  }

  get queuedTokens(): number {
    return this.queue.queuedTokens;
  }

  get live(): number {
    return this.queue.ofClass('live').items;
  }

  /** Queues it, or refuses it at once. Returns how to leave again. */
  join(waiting: Waiting, nowMs: number): () => void {
    const { tenant, priority, deadlineMs } = waiting.request.ticket ?? usualTicket;
    const id = this.nextId;
    this.nextId += 1;
    const ask = { id, tenant, priority, deadlineMs, inputTokens: waiting.request.tokens, maxOutputTokens: 0 };
    const offer = this.queue.offer(waiting, ask, nowMs);
    if (!offer.ok) {
      waiting.refused(overloaded(offer));
      return nothing;
    }
    for (const { item, refusal } of offer.displaced) item.refused(overloaded(refusal));
    return () => void this.queue.remove(id);
  }

  /** Whose turn it is among the classes that have room; null when nobody's. */
  take(nowMs: number, hasRoom: (priority: Priority) => boolean): { readonly waiting: Waiting; readonly waitedMs: number } | null {
    const taken = this.queue.take(nowMs, (_, { priority }) => hasRoom(priority));
    return taken && { waiting: taken.item, waitedMs: taken.waitedMs };
  }

  /** Refuses what would be too late even if it began now. */
  expire(nowMs: number): void {
    for (const { item, refusal } of this.queue.expired(nowMs)) item.refused(overloaded(refusal));
  }

  /** Refuses everything: nobody is left to serve it. */
  dismiss(nowMs: number, fault: EngineFault): void {
    for (let one = this.take(nowMs, anyone); one !== null; one = this.take(nowMs, anyone)) one.waiting.refused(fault);
  }
}

const nothing = (): void => undefined;
const anyone = (): boolean => true;

function overloaded({ reason, hopeless, retryAfterMs }: Refusal): EngineFault {
  const message = hopeless ? 'it would take longer than its deadline even alone' : words[reason];
  return faultOf('engine.overloaded', message, { retryable: true, retryAfterMs });
}
