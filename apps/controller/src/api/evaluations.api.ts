// /api/v1/evaluations: run a frozen test set against a version, paired with another, and read what came of every case.
import { Controller, Get, Headers, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { z } from 'zod';
import { createEvaluation, type EvaluationCaseResource, type EvaluationFindingResource, type EvaluationResource } from '#libs/contract';
import { Database, EvaluationResultStore, type EvaluationRow, EvaluationStore } from '#libs/storage';
import { type Actor, CurrentActor } from '../auth/actor.js';
import { Requires } from '../auth/requires.js';
import { EvaluationDesk, evaluationUnknown } from '../evaluation-desk.js';
import { Idempotency } from '../http/idempotency.js';
import { unwrap, ValidBody, ValidQuery } from '../http/valid.js';

const casesQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.coerce.number().int().min(0).optional(),
  /** `true`: only cases that one version passed and the other did not. */
  flipped: z.stringbool().default(false),
});

function view(row: EvaluationRow): EvaluationResource {
  const { testSet: name, testSetNumber: number, testSetDigest: digest, policy, candidateDone, baselineDone, finding, ...rest } = row;
  const { margin, minCases, maxErrorShare } = policy;
  return {
    ...rest,
    testSet: { name, number, digest },
    margin,
    minCases,
    maxErrorShare,
    done: { candidate: candidateDone, baseline: baselineDone },
    finding: finding as EvaluationFindingResource | null,
  };
}

@Controller('api/v1/evaluations')
export class EvaluationsApi {
  private readonly evaluations = new EvaluationStore();
  private readonly results = new EvaluationResultStore();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(EvaluationDesk) private readonly desk: EvaluationDesk,
    @Inject(Idempotency) private readonly idempotency: Idempotency,
  ) {}

  /** Queues an evaluation; the evaluator takes it up within a second or two. */
  @Post()
  @HttpCode(201)
  @Requires('evaluations:write')
  async create(
    @ValidBody(createEvaluation) body: z.infer<typeof createEvaluation>,
    @Headers('idempotency-key') key: string | undefined,
    @CurrentActor() actor: Actor,
  ): Promise<unknown> {
    const answer = await this.idempotency.once({ actor: actor.name, key, request: { evaluate: body } }, async (tx) => ({
      status: 201,
      body: view(unwrap(await this.desk.start(tx, { ...body, actor: actor.name }))),
    }));
    return answer.body;
  }

  @Get(':id')
  @Requires('evaluations:read')
  async get(@Param('id') id: string): Promise<EvaluationResource> {
    return view(await this.find(id));
  }

  @Post(':id/cancel')
  @HttpCode(200)
  @Requires('evaluations:write')
  async cancel(@Param('id') id: string, @CurrentActor() actor: Actor): Promise<EvaluationResource> {
    await this.find(id);
    return view(await this.database.transaction(async (tx) => unwrap(await this.desk.cancel(tx, id, actor.name))));
  }

  /** Cases in the order of the test set, each with both answers. `cursor` is the index of the last case of the page before. */
  @Get(':id/cases')
  @Requires('evaluations:read')
  async cases(
    @Param('id') id: string,
    @ValidQuery(casesQuery) query: z.infer<typeof casesQuery>,
  ): Promise<{ items: EvaluationCaseResource[]; nextCursor: string | null }> {
    await this.find(id);
    const found = await this.results.cases(this.database.manager, id, {
      after: query.cursor ?? -1,
      limit: query.limit + 1,
      flipped: query.flipped,
    });
    const page = found.slice(0, query.limit);
    return { items: page.map((one) => ({ ...one })), nextCursor: found.length > query.limit ? String(page.at(-1)?.idx) : null };
  }

  private async find(id: string): Promise<EvaluationRow> {
    const row = z.uuid().safeParse(id).success ? await this.evaluations.get(this.database.manager, id) : null;
    return row ?? unwrap(evaluationUnknown(id));
  }
}
