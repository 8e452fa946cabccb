// What the world must be told, written in the transaction of the change itself: told if and only if it happened.
import type { EntityManager } from 'typeorm';
import { json, row } from './rows.js';

export const outboxChannel = 'serin_outbox';

export interface OutboxMessage {
  /** Event type, for example `rollout.rolled_back`. */
  readonly type: string;
  /** What it is about (`rollout/ID`); deliveries of one subject keep their order. */
  readonly subject: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export class OutboxStore {
  /** Appends the message and one pending delivery for every endpoint that wants its type. Returns the message's id, stable over retries. */
  async append(tx: EntityManager, message: OutboxMessage): Promise<string> {
    const id = await this.add(tx, message);
    await tx.query(
      `insert into deliveries (outbox_id, subject, endpoint_id) select $1, $2, id from webhook_endpoints
       where disabled_at is null and (event_types = '{}' or $3 = any(event_types))`,
      [id, message.subject, message.type],
    );
    await tx.query('select pg_notify($1, $2)', [outboxChannel, id]);
    return id;
  }

  /** Appends the message for one endpoint only, whatever types that one wants. Returns the message's id. */
  async appendFor(tx: EntityManager, endpointId: string, message: OutboxMessage): Promise<string> {
    const id = await this.add(tx, message);
    await tx.query('insert into deliveries (outbox_id, subject, endpoint_id) values ($1, $2, $3)', [id, message.subject, endpointId]);
    await tx.query('select pg_notify($1, $2)', [outboxChannel, id]);
    return id;
  }

  private async add(tx: EntityManager, message: OutboxMessage): Promise<string> {
    const added = await row<{ id: string }>(
      tx,
      `insert into outbox (id, type, subject, payload, created_at) values (gen_random_uuid(), $1, $2, $3, clock_timestamp()) returning id`,
      [message.type, message.subject, json(message.data)],
    );
    if (!added) throw new Error('insert ... returning gave no row');
    return added.id;
  }
}
