// Deliveries of outbox messages to endpoints: claimed under a lease, in order per endpoint and subject, settled exactly by the claim that sent them.
import type { EntityManager } from 'typeorm';
import { row, rows, touched } from './rows.js';

export type DeliveryState = 'pending' | 'delivered' | 'dead';

/** A delivery that is ours to send. */
export interface ClaimedDelivery {
  readonly id: string;
  /** Number of this attempt, from 1. Also the fence: who settles must name it. */
  readonly attempts: number;
  readonly outboxId: string;
  readonly type: string;
  readonly subject: string;
  readonly payload: Record<string, unknown>;
  /** When it happened, milliseconds since the Unix epoch. */
  readonly at: number;
  readonly endpointId: string;
  readonly endpointName: string;
  readonly url: string;
  readonly sealedSecret: Buffer;
}

export interface DeliveryRow {
  readonly id: string;
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly endpointId: string;
  readonly endpointName: string;
  readonly outboxId: string;
  readonly type: string;
  readonly subject: string;
  readonly nextAttemptAt: number;
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  readonly deliveredAt: number | null;
  readonly createdAt: number;
}

/** What came of an attempt. `status`: HTTP status, null when there was no answer. */
export type Settlement =
  | { readonly kind: 'delivered'; readonly status: number }
  | { readonly kind: 'retry'; readonly status: number | null; readonly error: string; readonly delayMs: number }
  | { readonly kind: 'dead'; readonly status: number | null; readonly error: string };

const columns = `d.id::text, d.state, d.attempts, d.endpoint_id as "endpointId", e.name as "endpointName", d.outbox_id as "outboxId", o.type, o.subject,
  (extract(epoch from d.next_attempt_at) * 1000)::float8 as "nextAttemptAt", d.last_status as "lastStatus", d.last_error as "lastError",
  (extract(epoch from d.delivered_at) * 1000)::float8 as "deliveredAt", (extract(epoch from d.created_at) * 1000)::float8 as "createdAt"`;
const source = 'deliveries d join outbox o on o.id = d.outbox_id join webhook_endpoints e on e.id = d.endpoint_id';
const longestError = 500;

export class DeliveryStore {
  /**
   * Claims at most one due delivery for each of at most `limit` endpoints that have none claimed, skipping `exceptEndpoints`. A delivery waits for
   * earlier pending ones of the same endpoint and subject. Must run in a transaction: the second statement has to see what was
   * committed before the endpoint's row was locked, else two workers could serve one endpoint at once.
   */
  async claimDue(
    tx: EntityManager,
    { leaseMs, limit, exceptEndpoints }: { leaseMs: number; limit: number; exceptEndpoints: readonly string[] },
  ): Promise<ClaimedDelivery[]> {
    // `no key update`: a decision that writes deliveries for this endpoint must never wait for us. `now()` and not the running clock, which no
    // index can be searched by: a day of backlog at one endpoint must not slow the others down.
    const endpoints = await rows<{ id: string }>(
      tx,
      `select e.id from webhook_endpoints e
       where e.disabled_at is null and e.id <> all($1::uuid[])
         and exists (select 1 from deliveries d where d.endpoint_id = e.id and d.state = 'pending' and d.next_attempt_at <= now())
         and not exists (select 1 from deliveries c
           where c.endpoint_id = e.id and c.state = 'pending' and c.claimed_until is not null and c.claimed_until > now())
       order by random() limit $2 for no key update of e skip locked`,
      [[...exceptEndpoints], limit],
    );
    if (endpoints.length === 0) return [];
    return await rows<ClaimedDelivery>(
      tx,
      `with next as (
         select head.id from unnest($1::uuid[]) as free (endpoint_id) cross join lateral (
           select d.id from deliveries d
           where d.endpoint_id = free.endpoint_id and d.state = 'pending' and d.next_attempt_at <= now()
             and not exists (select 1 from deliveries c
               where c.endpoint_id = free.endpoint_id and c.state = 'pending' and c.claimed_until is not null and c.claimed_until > now())
             and not exists (select 1 from deliveries p
               where p.endpoint_id = free.endpoint_id and p.state = 'pending' and p.subject = d.subject and p.id < d.id)
           order by d.next_attempt_at, d.id limit 1) head)
       update deliveries d set attempts = d.attempts + 1, claimed_until = clock_timestamp() + $2 * interval '1 millisecond'
       from next, outbox o, webhook_endpoints e
       where d.id = next.id and d.state = 'pending' and o.id = d.outbox_id and e.id = d.endpoint_id
       returning d.id::text, d.attempts, o.id as "outboxId", o.type, o.subject, o.payload,
         (extract(epoch from o.created_at) * 1000)::float8 as at, e.id as "endpointId", e.name as "endpointName", e.url, e.secret as "sealedSecret"`,
      [endpoints.map(({ id }) => id), leaseMs],
    );
  }

  /** False when the claim was lost: somebody else sends it now. */
  async renew(tx: EntityManager, claim: Pick<ClaimedDelivery, 'id' | 'attempts'>, leaseMs: number): Promise<boolean> {
    const kept = await touched(
      tx,
      `update deliveries set claimed_until = clock_timestamp() + $3 * interval '1 millisecond'
       where id = $1 and attempts = $2 and state = 'pending' and claimed_until is not null returning id`,
      [claim.id, claim.attempts, leaseMs],
    );
    return kept > 0;
  }

  /** Ends an attempt. False when the claim was lost or it was settled before. */
  async settle(tx: EntityManager, claim: Pick<ClaimedDelivery, 'id' | 'attempts'>, outcome: Settlement): Promise<boolean> {
    const state: DeliveryState = outcome.kind === 'retry' ? 'pending' : outcome.kind;
    const settled = await touched(
      tx,
      `update deliveries set state = $3, claimed_until = null, last_status = $4, last_error = $5,
         delivered_at = case when $3 = 'delivered' then clock_timestamp() end,
         next_attempt_at = clock_timestamp() + $6 * interval '1 millisecond'
       where id = $1 and attempts = $2 and state = 'pending' and claimed_until is not null returning id`,
      [
        claim.id,
        claim.attempts,
        state,
        outcome.status,
        outcome.kind === 'delivered' ? null : outcome.error.slice(0, longestError),
        outcome.kind === 'retry' ? outcome.delayMs : 0,
      ],
    );
    return settled > 0;
  }

  /** Newest first; `before` is the id to go on from. */
  async list(
    tx: EntityManager,
    {
      state,
      endpointId,
      before,
      limit,
    }: { state?: DeliveryState | undefined; endpointId?: string | undefined; before?: string | undefined; limit: number },
  ): Promise<DeliveryRow[]> {
    return await rows(
      tx,
      `select ${columns} from ${source}
       where ($1::text is null or d.state = $1) and ($2::uuid is null or d.endpoint_id = $2) and ($3::bigint is null or d.id < $3)
       order by d.id desc limit $4`,
      [state ?? null, endpointId ?? null, before ?? null, limit],
    );
  }

  async byId(tx: EntityManager, id: string): Promise<DeliveryRow | null> {
    return await row(tx, `select ${columns} from ${source} where d.id = $1`, [id]);
  }

  /** The newest delivery of a message to an endpoint. */
  async ofMessage(tx: EntityManager, outboxId: string, endpointId: string): Promise<DeliveryRow | null> {
    return await row(tx, `select ${columns} from ${source} where d.outbox_id = $1 and d.endpoint_id = $2`, [outboxId, endpointId]);
  }

  /** Due now, with its whole schedule before it again; the message keeps its id. False while it is being sent, or when there is none. */
  async replay(tx: EntityManager, id: string): Promise<boolean> {
    const again = await touched(
      tx,
      `update deliveries set state = 'pending', attempts = 0, next_attempt_at = clock_timestamp(), claimed_until = null, delivered_at = null
       where id = $1 and (claimed_until is null or claimed_until < clock_timestamp()) returning id`,
      [id],
    );
    return again > 0;
  }

  /** Forgets delivered and dead deliveries older than `olderThanMs`, and messages that nobody waits for: at most 1,000 of each a call. Returns the larger number. */
  async prune(tx: EntityManager, olderThanMs: number): Promise<number> {
    const settled = await touched(
      tx,
      `delete from deliveries where id = any(array(
         select id from deliveries where state <> 'pending' and created_at < now() - $1 * interval '1 millisecond' limit 1000)) returning id`,
      [olderThanMs],
    );
    const told = await touched(
      tx,
      `delete from outbox where id = any(array(
         select o.id from outbox o where o.created_at < now() - $1 * interval '1 millisecond'
           and not exists (select 1 from deliveries d where d.outbox_id = o.id) limit 1000)) returning id`,
      [olderThanMs],
    );
    return Math.max(settled, told);
  }
}
