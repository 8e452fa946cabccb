// /api/v1/rollouts: start one, and look at what it does and why.
import { Controller, Get, Headers, HttpCode, Inject, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { createRollout, type EvidenceResource, phaseName, type RolloutEventResource, type RolloutResource } from '#libs/contract';
import { Database, RolloutEventStore, type RolloutRecord, RolloutStore } from '#libs/storage';
import { type Actor, CurrentActor } from '../auth/actor.js';
import { Requires } from '../auth/requires.js';
import { Idempotency } from '../http/idempotency.js';
import { unwrap, ValidBody, ValidQuery } from '../http/valid.js';
import { RolloutDesk, rolloutUnknown } from '../rollout-desk.js';
import { RolloutReader } from '../rollout-reader.js';
import { Ticker } from '../ticker.js';
import { viewEvent } from './views.js';

const uuid = z.uuid();
const listQuery = z.strictObject({
  model: z.string().max(127).optional(),
  phase: phaseName.optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: uuid.optional(),
});
const eventsQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.coerce.number().int().min(0).default(0),
});
const evidenceQuery = z.strictObject({ limit: z.coerce.number().int().min(1).max(2000).default(500) });

@Controller('api/v1')
export class RolloutsApi {
  private readonly rollouts = new RolloutStore();
  private readonly events = new RolloutEventStore();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(RolloutDesk) private readonly desk: RolloutDesk,
    @Inject(RolloutReader) private readonly reader: RolloutReader,
    @Inject(Ticker) private readonly ticker: Ticker,
    @Inject(Idempotency) private readonly idempotency: Idempotency,
  ) {}

  /** 201 with the rollout; 200 with `firstStable` when the model had no version in service and this one now serves at once. */
  @Post('models/:model/rollouts')
  @HttpCode(201)
  @Requires('rollouts:write')
  async start(
    @Param('model') model: string,
    @ValidBody(createRollout) body: z.infer<typeof createRollout>,
    @Headers('idempotency-key') key: string | undefined,
    @CurrentActor() actor: Actor,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<unknown> {
    const answer = await this.idempotency.once({ actor: actor.name, key, request: { start: model, body } }, async (tx) => {
      const started = unwrap(await this.desk.start(tx, { model, ...body, actor: actor.name }));
      if (started.kind === 'first-stable') return { status: 200, body: { firstStable: { id: started.versionId, label: started.label } } };
      return { status: 201, body: await this.reader.find(started.rollout.id, tx) };
    });
    this.ticker.wake();
    void reply.status(answer.status);
    return answer.body;
  }

  @Get('rollouts')
  @Requires('rollouts:read')
  async list(@ValidQuery(listQuery) query: z.infer<typeof listQuery>): Promise<{ items: RolloutResource[]; nextCursor: string | null }> {
    const { items, nextCursor } = await this.rollouts.list(this.database.manager, query);
    return { items: await this.reader.view(items), nextCursor };
  }

  @Get('rollouts/:id')
  @Requires('rollouts:read')
  async get(@Param('id') id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<RolloutResource> {
    return await this.answer(id, reply);
  }

  @Get('rollouts/:id/events')
  @Requires('rollouts:read')
  async listEvents(
    @Param('id') id: string,
    @ValidQuery(eventsQuery) query: z.infer<typeof eventsQuery>,
  ): Promise<{ items: RolloutEventResource[]; nextCursor: string | null }> {
    const record = await this.find(id);
    const found = await this.events.list(this.database.manager, id, { after: query.cursor, limit: query.limit + 1 });
    const page = found.slice(0, query.limit);
    return {
      items: page.map((event) => viewEvent(record, event)),
      nextCursor: found.length > query.limit ? String(page.at(-1)?.seq ?? '') : null,
    };
  }

  /** Evidence of looks and decisions, oldest first: the newest `limit` of them. */
  @Get('rollouts/:id/evidence')
  @Requires('rollouts:read')
  async listEvidence(
    @Param('id') id: string,
    @ValidQuery(evidenceQuery) query: z.infer<typeof evidenceQuery>,
  ): Promise<{ items: EvidenceResource[]; nextCursor: null }> {
    await this.find(id);
    const looks = await this.events.looks(this.database.manager, id, query.limit);
    const events = await this.events.list(this.database.manager, id, { limit: 500 });
    const all = [...looks.map((look) => look.evidence), ...events.flatMap((event) => event.evidence ?? [])];
    return { items: all.toSorted((a, b) => a.at - b.at).slice(-query.limit) as EvidenceResource[], nextCursor: null };
  }

  private async find(id: string): Promise<RolloutRecord> {
    const record = uuid.safeParse(id).success ? await this.rollouts.get(this.database.manager, id) : null;
    return record ?? unwrap(rolloutUnknown(id));
  }

  private async answer(id: string, reply: FastifyReply): Promise<RolloutResource> {
    const [resource] = await this.reader.view([await this.find(id)]);
    if (!resource) throw new Error('a row without its view');
    void reply.header('etag', `"${resource.revision}"`);
    return resource;
  }
}
