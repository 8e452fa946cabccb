// Where events are sent. Secrets are sealed; a disabled endpoint keeps its row because its deliveries refer to it.
import type { EntityManager } from 'typeorm';
import { fail, type Outcome, ok } from '#libs/base';
import { row, rows } from './rows.js';
import type { SecretBox } from './secret-box.js';

export interface WebhookEndpointRow {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  /** Empty = every type. */
  readonly eventTypes: readonly string[];
  readonly disabledAt: number | null;
  readonly disabledReason: string | null;
  readonly createdAt: number;
}

const columns = `id, name, url, event_types as "eventTypes", (extract(epoch from disabled_at) * 1000)::float8 as "disabledAt",
  disabled_reason as "disabledReason", (extract(epoch from created_at) * 1000)::float8 as "createdAt"`;

/** What a sealed endpoint secret is bound to. */
export function endpointPlace(id: string): string {
  return `webhook_endpoints/${id}`;
}

export class WebhookEndpointStore {
  constructor(private readonly box: SecretBox) {}

  /** Creates an endpoint, or brings a disabled one of that name back with the new address and secret (same id). Fault: `webhook-endpoint.name-taken`. */
  async create(
    tx: EntityManager,
    endpoint: { id: string; name: string; url: string; eventTypes: readonly string[]; secret: string },
  ): Promise<Outcome<WebhookEndpointRow>> {
    // The id decides what the secret is sealed to, so it must be settled first.
    const disabled = await row<{ id: string }>(
      tx,
      'select id from webhook_endpoints where name = $1 and disabled_at is not null for update',
      [endpoint.name],
    );
    const id = disabled?.id ?? endpoint.id;
    const made = await row<WebhookEndpointRow>(
      tx,
      `insert into webhook_endpoints (id, name, url, secret, event_types) values ($1, $2, $3, $4, $5)
       on conflict (name) do update set url = excluded.url, secret = excluded.secret, event_types = excluded.event_types,
         disabled_at = null, disabled_reason = null
       where webhook_endpoints.id = $1 and webhook_endpoints.disabled_at is not null
       returning ${columns}`,
      [id, endpoint.name, endpoint.url, this.box.seal(endpoint.secret, endpointPlace(id)), [...endpoint.eventTypes]],
    );
    if (made) return ok(made);
    return fail({
      code: 'webhook-endpoint.name-taken',
      message: `There is a webhook endpoint "${endpoint.name}" already.`,
      field: 'name',
      remedy: 'Choose another name, or delete that endpoint first.',
    });
  }

  /** By name, disabled ones too. */
  async list(tx: EntityManager): Promise<WebhookEndpointRow[]> {
    return await rows(tx, `select ${columns} from webhook_endpoints order by name limit 1000`);
  }

  async byId(tx: EntityManager, id: string): Promise<WebhookEndpointRow | null> {
    return await row(tx, `select ${columns} from webhook_endpoints where id = $1`, [id]);
  }

  /** The secret in clear. Null when there is no such endpoint. Throws FaultError `secret.unreadable`. */
  async secretOf(tx: EntityManager, id: string): Promise<string | null> {
    const found = await row<{ secret: Buffer }>(tx, 'select secret from webhook_endpoints where id = $1', [id]);
    return found ? this.box.open(found.secret, endpointPlace(id)) : null;
  }

  /** Sends nothing more: pending deliveries become dead with the reason. Null when it was disabled already or does not exist. */
  async disable(tx: EntityManager, id: string, reason: string): Promise<WebhookEndpointRow | null> {
    const disabled = await row<WebhookEndpointRow>(
      tx,
      `update webhook_endpoints set disabled_at = now(), disabled_reason = $2 where id = $1 and disabled_at is null returning ${columns}`,
      [id, reason],
    );
    if (!disabled) return null;
    await tx.query(
      `update deliveries set state = 'dead', claimed_until = null, last_error = $2 where endpoint_id = $1 and state = 'pending'`,
      [id, `endpoint disabled: ${reason}`],
    );
    return disabled;
  }
}
