// /api/v1/test-sets: named test sets and their frozen versions, which come in as JSON lines.
import { Body, Controller, Get, Headers, HttpCode, Inject, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { FaultError, fail, type Ids, type Outcome } from '#libs/base';
import { createTestSet, type TestSetResource, type TestSetVersionResource } from '#libs/contract';
import { parseTestSet } from '#libs/scoring';
import { AuditStore, Database, type TestSetRow, TestSetStore, type TestSetVersionRow, testSetDigest } from '#libs/storage';
import { type Actor, CurrentActor } from '../auth/actor.js';
import { Requires } from '../auth/requires.js';
import { IDS } from '../core.js';
import { Idempotency } from '../http/idempotency.js';
import { unwrap, ValidBody, ValidQuery } from '../http/valid.js';

const listQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(127).default(''),
});
type Key = string | undefined;

/** No such test set: the same words wherever it happens. */
export function testSetUnknown(name: string, field: string): Outcome<never> {
  return fail({
    code: 'test-set.not-found',
    message: `There is no test set "${name.slice(0, 127)}".`,
    field,
    remedy: 'List them with GET /api/v1/test-sets, or create it with POST /api/v1/test-sets {"name": ...}.',
  });
}

function viewVersion({ number, digest, caseCount, createdBy, createdAt }: TestSetVersionRow): TestSetVersionResource {
  return { number, digest, caseCount, createdBy, createdAt };
}

@Controller('api/v1/test-sets')
export class TestSetsApi {
  private readonly testSets = new TestSetStore();
  private readonly audit = new AuditStore();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Idempotency) private readonly idempotency: Idempotency,
    @Inject(IDS) private readonly ids: Ids,
  ) {}

  @Get()
  @Requires('evaluations:read')
  async list(@ValidQuery(listQuery) query: z.infer<typeof listQuery>): Promise<{ items: TestSetResource[]; nextCursor: string | null }> {
    const found = await this.testSets.list(this.database.manager, { after: query.cursor, limit: query.limit + 1 });
    const page = found.slice(0, query.limit);
    const items: TestSetResource[] = [];
    for (const set of page) items.push(await this.view(set));
    return { items, nextCursor: found.length > query.limit ? (page.at(-1)?.name ?? null) : null };
  }

  @Post()
  @HttpCode(201)
  @Requires('evaluations:write')
  async create(
    @ValidBody(createTestSet) body: z.infer<typeof createTestSet>,
    @Headers('idempotency-key') key: Key,
    @CurrentActor() actor: Actor,
  ): Promise<unknown> {
    const answer = await this.idempotency.once({ actor: actor.name, key, request: { create: 'test-set', ...body } }, async (tx) => {
      const set = unwrap(await this.testSets.create(tx, { id: this.ids.uuid(), name: body.name }));
      await this.audit.append(tx, {
        actor: actor.name,
        action: 'test-set.created',
        subject: `test-set/${body.name}`,
        reason: null,
        detail: {},
      });
      return { status: 201, body: { name: set.name, createdAt: set.createdAt, versions: [] } satisfies TestSetResource };
    });
    return answer.body;
  }

  @Get(':name')
  @Requires('evaluations:read')
  async get(@Param('name') name: string): Promise<TestSetResource> {
    const set = await this.testSets.byName(this.database.manager, name);
    return await this.view(set ?? unwrap(testSetUnknown(name, 'name')));
  }

  /** Freezes the cases of the body as the next version: 201, or 200 when the same cases are frozen already. Whole or not at all. */
  @Post(':name/versions')
  @HttpCode(201)
  @Requires('evaluations:write')
  async freeze(
    @Param('name') name: string,
    @Body() body: unknown,
    @Headers('idempotency-key') key: Key,
    @CurrentActor() actor: Actor,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<unknown> {
    const cases = unwrap(parseTestSet(linesOf(body)));
    const answer = await this.idempotency.once(
      { actor: actor.name, key, request: { freeze: name, digest: testSetDigest(cases) } },
      async (tx) => {
        const set = (await this.testSets.byName(tx, name)) ?? unwrap(testSetUnknown(name, 'name'));
        const { version, created } = await this.testSets.freeze(tx, {
          id: this.ids.uuid(),
          testSetId: set.id,
          cases,
          createdBy: actor.name,
        });
        if (created) {
          await this.audit.append(tx, {
            actor: actor.name,
            action: 'test-set.frozen',
            subject: `test-set/${name}/version/${version.number}`,
            reason: null,
            detail: { digest: version.digest, caseCount: version.caseCount },
          });
        }
        return { status: created ? 201 : 200, body: viewVersion(version) };
      },
    );
    void reply.status(answer.status);
    return answer.body;
  }

  private async view(set: TestSetRow): Promise<TestSetResource> {
    const versions = await this.testSets.versions(this.database.manager, set.id);
    return { name: set.name, createdAt: set.createdAt, versions: versions.map(viewVersion) };
  }
}

/** The body as text. Any other content type was parsed into something else, or into nothing. */
function linesOf(body: unknown): string {
  if (typeof body === 'string') return body;
  throw new FaultError({
    code: 'request.unsupported-media-type',
    message: 'The cases of a test set come as JSON lines.',
    retryable: false,
    field: 'Content-Type',
    remedy: 'Send them with content-type application/x-ndjson, one JSON object a line.',
  });
}
