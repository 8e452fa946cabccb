// /api/v1/models and their versions.
import { Controller, Get, Headers, HttpCode, Inject, Param, Patch, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { createModel, createVersion, type ModelResource, patchModel, type VersionResource } from '#libs/contract';
import { Database, type ModelRow, ModelStore, VersionStore } from '#libs/storage';
import { type Actor, CurrentActor } from '../auth/actor.js';
import { Requires } from '../auth/requires.js';
import { revisionOf } from '../http/etag.js';
import { unwrap, ValidBody, ValidQuery } from '../http/valid.js';
import { modelUnknown, Registry, versionUnknown } from '../registry.js';
import { viewModel, viewVersion } from './views.js';

const limit = z.coerce.number().int().min(1).max(500).default(100);
const modelsQuery = z.strictObject({ limit, cursor: z.string().max(127).optional() });
const versionsQuery = z.strictObject({ limit, cursor: z.coerce.number().int().min(0).optional() });

@Controller('api/v1/models')
export class ModelsApi {
  private readonly models = new ModelStore();
  private readonly versions = new VersionStore();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Registry) private readonly registry: Registry,
  ) {}

  @Get()
  @Requires('models:read')
  async list(@ValidQuery(modelsQuery) query: z.infer<typeof modelsQuery>): Promise<{ items: ModelResource[]; nextCursor: string | null }> {
    const found = await this.models.list(this.database.manager, { after: query.cursor ?? '', limit: query.limit + 1 });
    const page = found.slice(0, query.limit);
    const stables = await this.versions.byIds(
      this.database.manager,
      page.flatMap((model) => model.stableVersionId ?? []),
    );
    return {
      items: page.map((model) => viewModel(model, stables.find((version) => version.id === model.stableVersionId) ?? null)),
      nextCursor: found.length > query.limit ? (page.at(-1)?.name ?? null) : null,
    };
  }

  @Post()
  @Requires('models:write')
  async create(@ValidBody(createModel) body: z.infer<typeof createModel>, @CurrentActor() actor: Actor): Promise<ModelResource> {
    return viewModel(
      await this.database.transaction(async (tx) => unwrap(await this.registry.createModel(tx, { ...body, actor: actor.name }))),
      null,
    );
  }

  @Get(':model')
  @Requires('models:read')
  async get(@Param('model') name: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<ModelResource> {
    return await this.answer(await this.find(name), reply);
  }

  @Patch(':model')
  @Requires('models:write')
  async change(
    @Param('model') name: string,
    @ValidBody(patchModel) body: z.infer<typeof patchModel>,
    @Headers('if-match') ifMatch: string | undefined,
    @CurrentActor() actor: Actor,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ModelResource> {
    const ifRevision = revisionOf(ifMatch);
    const changed = await this.database.transaction(async (tx) =>
      unwrap(await this.registry.changeModel(tx, name, { ...body, ifRevision, actor: actor.name })),
    );
    return await this.answer(changed, reply);
  }

  @Get(':model/versions')
  @Requires('models:read')
  async listVersions(
    @Param('model') name: string,
    @ValidQuery(versionsQuery) query: z.infer<typeof versionsQuery>,
  ): Promise<{ items: VersionResource[]; nextCursor: string | null }> {
    const model = await this.find(name);
    const offset = query.cursor ?? 0;
    const found = await this.versions.list(this.database.manager, model.id, { limit: query.limit + 1, offset });
    return {
      items: found.slice(0, query.limit).map(viewVersion),
      nextCursor: found.length > query.limit ? String(offset + query.limit) : null,
    };
  }

  /** 201 for a new version, 200 when the same content was there under the same label. */
  @Post(':model/versions')
  @HttpCode(201)
  @Requires('models:write')
  async createVersion(
    @Param('model') name: string,
    @ValidBody(createVersion) body: z.infer<typeof createVersion>,
    @CurrentActor() actor: Actor,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<VersionResource> {
    const { version, created } = await this.database.transaction(async (tx) =>
      unwrap(await this.registry.registerVersion(tx, { model: name, ...body, actor: actor.name })),
    );
    if (!created) void reply.status(200);
    return viewVersion(version);
  }

  @Get(':model/versions/:version')
  @Requires('models:read')
  async getVersion(@Param('model') name: string, @Param('version') label: string): Promise<VersionResource> {
    const model = await this.find(name);
    const version = await this.versions.byLabel(this.database.manager, model.id, label);
    return viewVersion(version ?? unwrap(versionUnknown(name, label, 'version')));
  }

  private async find(name: string): Promise<ModelRow> {
    return (await this.models.byName(this.database.manager, name)) ?? unwrap(modelUnknown(name));
  }

  private async answer(model: ModelRow, reply: FastifyReply): Promise<ModelResource> {
    const stable = model.stableVersionId ? await this.versions.byId(this.database.manager, model.stableVersionId) : null;
    void reply.header('etag', `"${model.revision}"`);
    return viewModel(model, stable);
  }
}
