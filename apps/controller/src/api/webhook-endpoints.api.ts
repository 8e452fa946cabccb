// /api/v1/webhook-endpoints: where events are sent. The secret is answered once, to whoever made the endpoint.
import { Controller, Delete, Get, Headers, HttpCode, Inject, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { eventTypes, newWebhookSecret, testEventType } from '#libs/alerts';
import { type Clock, fail, type Ids, type Outcome, type Rng } from '#libs/base';
import { createEndpoint } from '#libs/contract';
import { AuditStore, Database, DeliveryStore, OutboxStore, SecretBox, type WebhookEndpointRow, WebhookEndpointStore } from '#libs/storage';
import { type Actor, CurrentActor } from '../auth/actor.js';
import { Requires } from '../auth/requires.js';
import { CLOCK, ControllerSettings, IDS, RNG } from '../core.js';
import { Idempotency } from '../http/idempotency.js';
import { unwrap, ValidBody } from '../http/valid.js';
import { Courier } from '../outbox/courier.js';
import { OutboxWorker } from '../outbox/outbox-worker.js';
import { type DeliveryView, viewDelivery } from './deliveries.api.js';

const createBody = createEndpoint.extend({ eventTypes: z.array(z.enum(eventTypes)).max(32).default([]) });
const testLimitMs = 16_000;
const testPollMs = 50;

interface EndpointView {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  /** Empty = every type. */
  readonly eventTypes: readonly string[];
  readonly disabledAt: number | null;
  readonly disabledReason: string | null;
  readonly createdAt: number;
}

/** No such endpoint: the same words wherever it happens. */
export function endpointUnknown(id: string): Outcome<never> {
  return fail({
    code: 'webhook-endpoint.not-found',
    message: `There is no webhook endpoint ${id}.`,
    field: 'id',
    remedy: 'List them: GET /api/v1/webhook-endpoints.',
  });
}

@Controller('api/v1/webhook-endpoints')
export class WebhookEndpointsApi {
  private readonly endpoints: WebhookEndpointStore;
  private readonly deliveries = new DeliveryStore();
  private readonly outbox = new OutboxStore();
  private readonly audit = new AuditStore();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Courier) private readonly courier: Courier,
    @Inject(OutboxWorker) private readonly worker: OutboxWorker,
    @Inject(Idempotency) private readonly idempotency: Idempotency,
    @Inject(ControllerSettings) settings: ControllerSettings,
    @Inject(IDS) private readonly ids: Ids,
    @Inject(RNG) private readonly rng: Rng,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    this.endpoints = new WebhookEndpointStore(new SecretBox(settings.values.secretKey));
  }

  @Get()
  @Requires('settings:write')
  async list(): Promise<{ items: EndpointView[] }> {
    return { items: await this.endpoints.list(this.database.manager) };
  }

  /** Refuses a URL that webhooks may not reach. The kept answer of an Idempotency-Key holds no secret: a repeat reads it from its sealed place. */
  @Post()
  @HttpCode(201)
  @Requires('settings:write')
  async create(
    @ValidBody(createBody) body: z.infer<typeof createBody>,
    @Headers('idempotency-key') key: string | undefined,
    @CurrentActor() actor: Actor,
  ): Promise<EndpointView & { secret: string }> {
    const reachable = await this.courier.mayReach(body.url);
    // Bad input now, whatever the resolver says in an hour.
    if (!reachable.ok) unwrap({ ok: false, fault: { ...reachable.fault, retryable: false } });
    const answer = await this.idempotency.once({ actor: actor.name, key, request: { create: body } }, async (tx) => {
      const secret = newWebhookSecret(this.rng);
      const made = unwrap(await this.endpoints.create(tx, { id: this.ids.uuid(), ...body, secret }));
      await this.audit.append(tx, {
        actor: actor.name,
        action: 'webhook-endpoint.created',
        subject: `webhook-endpoint/${made.id}`,
        reason: null,
        // The host only: the rest of such URLs is often a password in disguise.
        detail: { name: made.name, host: new URL(made.url).host, eventTypes: made.eventTypes },
      });
      return { status: 201, body: made };
    });
    const made = answer.body as WebhookEndpointRow;
    const secret = await this.endpoints.secretOf(this.database.manager, made.id);
    return { ...made, secret: secret ?? unwrap(endpointUnknown(made.id)) };
  }

  /** Disables it: its pending deliveries are dead, its history stays. */
  @Delete(':id')
  @HttpCode(204)
  @Requires('settings:write')
  async remove(@Param('id') id: string, @CurrentActor() actor: Actor): Promise<void> {
    await this.find(id);
    await this.database.transaction(async (tx) => {
      const disabled = await this.endpoints.disable(tx, id, `deleted by ${actor.name}`);
      if (!disabled) return;
      await this.audit.append(tx, {
        actor: actor.name,
        action: 'webhook-endpoint.deleted',
        subject: `webhook-endpoint/${id}`,
        reason: null,
        detail: { name: disabled.name },
      });
    });
  }

  /** Sends a test event the ordinary way and answers what came of it; 202 when that is not known yet. */
  @Post(':id/test')
  @HttpCode(200)
  @Requires('settings:write')
  async test(
    @Param('id') id: string,
    @Headers('idempotency-key') key: string | undefined,
    @CurrentActor() actor: Actor,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DeliveryView> {
    const endpoint = await this.find(id);
    if (endpoint.disabledAt !== null) {
      unwrap(
        fail({
          code: 'webhook-endpoint.disabled',
          message: `Endpoint "${endpoint.name}" is disabled: ${endpoint.disabledReason ?? 'no reason kept'}.`,
          field: 'id',
          remedy: 'Create it again under its name with POST /api/v1/webhook-endpoints.',
        }),
      );
    }
    const sent = await this.idempotency.once({ actor: actor.name, key, request: { test: id } }, async (tx) => {
      const message = {
        type: testEventType,
        subject: `webhook-endpoint/${id}`,
        data: { endpoint: endpoint.name, actor: actor.name, sentence: 'This is a test. Whoever reads it gets our webhooks.' },
      };
      return { status: 200, body: { outboxId: await this.outbox.appendFor(tx, id, message) } };
    });
    this.worker.wake();
    const { outboxId } = sent.body as { outboxId: string };
    const giveUpAt = this.clock.monotonicMs() + testLimitMs;
    let delivery = await this.deliveries.ofMessage(this.database.manager, outboxId, id);
    while (delivery?.state === 'pending' && this.clock.monotonicMs() < giveUpAt) {
      await this.clock.sleep(testPollMs);
      delivery = await this.deliveries.ofMessage(this.database.manager, outboxId, id);
    }
    if (!delivery) return unwrap(endpointUnknown(id));
    if (delivery.state === 'pending') void reply.status(202);
    return viewDelivery(delivery);
  }

  private async find(id: string): Promise<WebhookEndpointRow> {
    const found = z.uuid().safeParse(id).success ? await this.endpoints.byId(this.database.manager, id) : null;
    return found ?? unwrap(endpointUnknown(id));
  }
}
