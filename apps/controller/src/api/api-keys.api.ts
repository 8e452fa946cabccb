// /api/v1/api-keys: who may ask what, and how much. The text of a key is answered once and kept nowhere.
import { Controller, Delete, Get, Headers, HttpCode, Inject, Param, Patch, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import type { Clock } from '#libs/base';
import { type ApiKeyResource, type CreatedApiKey, createApiKey, patchApiKey } from '#libs/contract';
import { type ApiKeyRow, ApiKeyStore, Database } from '#libs/storage';
import { type Actor, CurrentActor } from '../auth/actor.js';
import { Requires } from '../auth/requires.js';
import { CLOCK } from '../core.js';
import { revisionOf } from '../http/etag.js';
import { Idempotency } from '../http/idempotency.js';
import { unwrap, ValidBody, ValidQuery } from '../http/valid.js';
import { KeyDesk, keyUnknown } from '../key-desk.js';
import { viewApiKey } from './views.js';

const uuid = z.uuid();
const listQuery = z.strictObject({ limit: z.coerce.number().int().min(1).max(200).default(50), cursor: uuid.optional() });
type Tag = string | undefined;

/** Parameter decorator: the reply, whose body Nest sends. */
const Reply = (): ParameterDecorator => Res({ passthrough: true });

@Controller('api/v1/api-keys')
export class ApiKeysApi {
  private readonly keys = new ApiKeyStore();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(KeyDesk) private readonly desk: KeyDesk,
    @Inject(Idempotency) private readonly idempotency: Idempotency,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Newest first, also those that are over. */
  @Get()
  @Requires('keys:read')
  async list(
    @ValidQuery(listQuery) { limit, cursor }: z.infer<typeof listQuery>,
    @CurrentActor() actor: Actor,
  ): Promise<{ items: ApiKeyResource[]; nextCursor: string | null }> {
    const found = await this.keys.list(this.database.manager, { before: cursor ?? null, limit: limit + 1 });
    const page = found.slice(0, limit);
    return {
      items: page.map((key) => viewApiKey(key, actor.keyId, this.clock.now())),
      nextCursor: found.length > limit ? (page.at(-1)?.id ?? null) : null,
    };
  }

  @Get(':id')
  @Requires('keys:read')
  async get(@Param('id') id: string, @CurrentActor() actor: Actor, @Reply() reply: FastifyReply): Promise<ApiKeyResource> {
    return this.answer(await this.find(id), actor, reply);
  }

  /**
   * 201 with the text of the key. What is kept of the answer for an Idempotency-Key is the id alone: a repeat makes no second key and answers
   * 200 with `"key": null`, for whoever could read the text again could do so with a stolen copy of the database as well.
   */
  @Post()
  @HttpCode(201)
  @Requires('keys:write')
  async create(
    @ValidBody(createApiKey) body: z.infer<typeof createApiKey>,
    @Headers('idempotency-key') key: Tag,
    @CurrentActor() actor: Actor,
    @Reply() reply: FastifyReply,
  ): Promise<CreatedApiKey> {
    const made: { text: string | null } = { text: null };
    const { body: kept } = await this.idempotency.once({ actor: actor.name, key, request: { create: 'api-key', body } }, async (tx) => {
      const { id, text } = unwrap(await this.desk.create(tx, body, actor));
      made.text = text;
      return { status: 201, body: { id } };
    });
    const row = await this.find((kept as { id: string }).id);
    if (made.text === null) void reply.status(200);
    return { ...this.answer(row, actor, reply), key: made.text };
  }

  /** Takes effect at the gateways within the second. */
  @Patch(':id')
  @Requires('keys:write')
  async change(
    @Param('id') id: string,
    @ValidBody(patchApiKey) { limits }: z.infer<typeof patchApiKey>,
    @Headers('if-match') ifMatch: Tag,
    @CurrentActor() actor: Actor,
    @Reply() reply: FastifyReply,
  ): Promise<ApiKeyResource> {
    const change = { ifRevision: revisionOf(ifMatch), actor };
    const { id: known } = await this.find(id);
    const changed = await this.database.transaction(async (tx) => unwrap(await this.desk.setLimits(tx, known, limits, change)));
    return this.answer(changed, actor, reply);
  }

  /** Revokes it; a second time changes nothing. `self` says that it was the key that asked, which is no key any more. */
  @Delete(':id')
  @Requires('keys:write')
  async revoke(
    @Param('id') id: string,
    @Headers('if-match') ifMatch: Tag,
    @CurrentActor() actor: Actor,
    @Reply() reply: FastifyReply,
  ): Promise<ApiKeyResource> {
    const change = { ifRevision: revisionOf(ifMatch), actor };
    const { id: known } = await this.find(id);
    const revoked = await this.database.transaction(async (tx) => unwrap(await this.desk.revoke(tx, known, change)));
    return this.answer(revoked, actor, reply);
  }

  private async find(id: string): Promise<ApiKeyRow> {
    const found = uuid.safeParse(id).success ? await this.keys.find(this.database.manager, id) : null;
    return found ?? unwrap(keyUnknown(id));
  }

  private answer(row: ApiKeyRow, actor: Actor, reply: FastifyReply): ApiKeyResource {
    void reply.header('etag', `"${row.revision}"`);
    return viewApiKey(row, actor.keyId, this.clock.now());
  }
}
