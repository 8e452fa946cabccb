// /api/v1/gates: "may this go live?" for pipelines: 200 when the gate passed, 412 otherwise.
import { Controller, Get, Inject, Param, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import type { VerdictName } from '#libs/contract';
import { Database, EvaluationStore, RolloutStore } from '#libs/storage';
import { Requires } from '../auth/requires.js';
import { unwrap } from '../http/valid.js';
import { rolloutUnknown } from '../rollout-desk.js';

interface GateAnswer {
  readonly verdict: VerdictName;
  readonly rolloutId: string;
  readonly note: string;
  readonly effect: number | null;
  readonly lower: number | null;
  readonly upper: number | null;
  readonly evaluationId: string | null;
}

@Controller('api/v1/gates')
export class GatesApi {
  private readonly rollouts = new RolloutStore();
  private readonly evaluations = new EvaluationStore();

  constructor(@Inject(Database) private readonly database: Database) {}

  /** No gate and no answer yet are both `unmeasured`: neither is a pass. */
  @Get(':rollout')
  @Requires('rollouts:read')
  async get(@Param('rollout') id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<GateAnswer> {
    const record = z.uuid().safeParse(id).success ? await this.rollouts.get(this.database.manager, id) : null;
    if (!record) unwrap(rolloutUnknown(id));
    const gate = record?.plan.gate ? await this.evaluations.gateOf(this.database.manager, id) : null;
    const progress = gate ? null : await this.evaluations.progressOf(this.database.manager, id);
    const answer = gate ?? {
      verdict: 'unmeasured' as const,
      note: !record?.plan.gate
        ? 'The plan of this rollout has no gate.'
        : progress
          ? `The evaluation is running: ${progress.done} of ${progress.planned} answers.`
          : 'The evaluation has not begun.',
      effect: null,
      lower: null,
      upper: null,
      evaluationId: progress?.id ?? null,
    };
    void reply.status(answer.verdict === 'pass' ? 200 : 412);
    return { rolloutId: id, ...answer };
  }
}
