// /api/v1/deliveries: what was sent where, what came of it, and once more.
import { Controller, Get, Headers, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { z } from 'zod';
import { fail, type Outcome } from '#libs/base';
import { AuditStore, Database, type DeliveryRow, DeliveryStore, SecretBox, WebhookEndpointStore } from '#libs/storage';
import { type Actor, CurrentActor } from '../auth/actor.js';
import { Requires } from '../auth/requires.js';
import { ControllerSettings } from '../core.js';
import { Idempotency } from '../http/idempotency.js';
import { unwrap, ValidQuery } from '../http/valid.js';
import { OutboxWorker } from '../outbox/outbox-worker.js';

const deliveryId = z.string().regex(/^\d{1,18}$/);
const query = z.strictObject({
  state: z.enum(['pending', 'delivered', 'dead']).optional(),
  endpoint: z.uuid().optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
  cursor: deliveryId.optional(),
});

/** A delivery as the API shows it. Times are milliseconds since the Unix epoch; `nextAttemptAt` only while it is pending. */
export interface DeliveryView {
  readonly id: string;
  readonly state: DeliveryRow['state'];
  readonly attempts: number;
  readonly endpoint: { readonly id: string; readonly name: string };
  /** `id` is the webhook-id that the receiver sees. */
  readonly event: { readonly id: string; readonly type: string; readonly subject: string };
  readonly nextAttemptAt: number | null;
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  readonly deliveredAt: number | null;
  readonly createdAt: number;
}

/** A row in the API's form. */
export function viewDelivery(row: DeliveryRow): DeliveryView {
  return {
    id: row.id,
    state: row.state,
    attempts: row.attempts,
    endpoint: { id: row.endpointId, name: row.endpointName },
    event: { id: row.outboxId, type: row.type, subject: row.subject },
    nextAttemptAt: row.state === 'pending' ? row.nextAttemptAt : null,
    lastStatus: row.lastStatus,
    lastError: row.lastError,
    deliveredAt: row.deliveredAt,
    createdAt: row.createdAt,
  };
}

function deliveryUnknown(id: string): Outcome<never> {
  return fail({
    code: 'delivery.not-found',
    message: `There is no delivery ${id}.`,
    field: 'id',
    remedy: 'List them: GET /api/v1/deliveries. Old ones are forgotten after 30 days.',
  });
}

@Controller('api/v1/deliveries')
export class DeliveriesApi {
  private readonly deliveries = new DeliveryStore();
  private readonly audit = new AuditStore();
  private readonly endpoints: WebhookEndpointStore;

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(OutboxWorker) private readonly worker: OutboxWorker,
    @Inject(Idempotency) private readonly idempotency: Idempotency,
    @Inject(ControllerSettings) settings: ControllerSettings,
  ) {
    this.endpoints = new WebhookEndpointStore(new SecretBox(settings.values.secretKey));
  }

  /** Newest first. */
  @Get()
  @Requires('settings:write')
  async list(@ValidQuery(query) filter: z.infer<typeof query>): Promise<{ items: DeliveryView[]; nextCursor: string | null }> {
    const found = await this.deliveries.list(this.database.manager, {
      state: filter.state,
      endpointId: filter.endpoint,
      before: filter.cursor,
      limit: filter.limit + 1,
    });
    const page = found.slice(0, filter.limit);
    return { items: page.map(viewDelivery), nextCursor: found.length > filter.limit ? (page.at(-1)?.id ?? null) : null };
  }

  /** Sends it again at once, with the same webhook-id and a fresh schedule. */
  @Post(':id/replay')
  @HttpCode(202)
  @Requires('settings:write')
  async replay(
    @Param('id') id: string,
    @Headers('idempotency-key') key: string | undefined,
    @CurrentActor() actor: Actor,
  ): Promise<DeliveryView> {
    const delivery = deliveryId.safeParse(id).success ? await this.deliveries.byId(this.database.manager, id) : null;
    if (!delivery) return unwrap(deliveryUnknown(id));
    const endpoint = await this.endpoints.byId(this.database.manager, delivery.endpointId);
    if (endpoint?.disabledAt !== null) {
      return unwrap(
        fail({
          code: 'webhook-endpoint.disabled',
          message: `Endpoint "${delivery.endpointName}" is disabled: ${endpoint?.disabledReason ?? 'no reason kept'}.`,
          field: 'id',
          remedy: 'Create it again under its name with POST /api/v1/webhook-endpoints, then replay.',
        }),
      );
    }
    await this.idempotency.once({ actor: actor.name, key, request: { replay: id } }, async (tx) => {
      if (!(await this.deliveries.replay(tx, id))) {
        unwrap(
          fail({
            code: 'delivery.pending',
            message: `Delivery ${id} is being sent right now.`,
            retryable: true,
            remedy: 'Look at it again in a few seconds.',
          }),
        );
      }
      await this.audit.append(tx, {
        actor: actor.name,
        action: 'delivery.replayed',
        subject: `delivery/${id}`,
        reason: null,
        detail: { event: delivery.outboxId, endpoint: delivery.endpointName },
      });
      return { status: 202, body: {} };
    });
    this.worker.wake();
    return viewDelivery((await this.deliveries.byId(this.database.manager, id)) ?? unwrap(deliveryUnknown(id)));
  }
}
