// POST /api/v1/rollouts/{id}/replay: what was decided, decided again, by the same plan or by another. Changes nothing.
import { Controller, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { z } from 'zod';
import { type ReplayResource, replayInput } from '#libs/contract';
import { checkPlan, resolvePlan } from '#libs/rollout';
import { Database, type RolloutRecord, RolloutStore } from '#libs/storage';
import { Requires } from '../auth/requires.js';
import { unwrap, ValidBody } from '../http/valid.js';
import { rolloutUnknown } from '../rollout-desk.js';
import { RolloutReplay } from '../rollout-replay.js';

@Controller('api/v1')
export class ReplayApi {
  private readonly rollouts = new RolloutStore();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(RolloutReplay) private readonly replay: RolloutReplay,
  ) {}

  @Post('rollouts/:id/replay')
  @HttpCode(200)
  @Requires('rollouts:read')
  async run(@Param('id') id: string, @ValidBody(replayInput) body: z.infer<typeof replayInput>): Promise<ReplayResource> {
    const record = await this.find(id);
    const plan = body.plan ? unwrap(checkPlan(resolvePlan(body.plan, record.plan))) : null;
    return unwrap(await this.replay.run(record, plan));
  }

  private async find(id: string): Promise<RolloutRecord> {
    const record = z.uuid().safeParse(id).success ? await this.rollouts.get(this.database.manager, id) : null;
    return record ?? unwrap(rolloutUnknown(id));
  }
}
