// POST /api/v1/models/{model}/rollouts/price: what a plan would cost under today's traffic. Changes nothing.
import { Controller, HttpCode, Inject, Param, Post } from '@nestjs/common';
import type { z } from 'zod';
import { fitScores, pricePlan, type Window } from '#libs/analysis';
import { createRollout, type PriceResource } from '#libs/contract';
import { Database, ModelStore, RolloutStore, VersionStore, WindowStore } from '#libs/storage';
import { Requires } from '../auth/requires.js';
import { unwrap, ValidBody } from '../http/valid.js';
import { modelUnknown, planFor, versionUnknown } from '../registry.js';

/** Traffic is what it was in the last day at most, by a bounded number of windows. */
const sampleMs = 86_400_000;
const mostWindows = 20_000;

@Controller('api/v1')
export class PriceApi {
  private readonly models = new ModelStore();
  private readonly versions = new VersionStore();
  private readonly windows = new WindowStore();
  private readonly rollouts = new RolloutStore();

  constructor(@Inject(Database) private readonly database: Database) {}

  @Post('models/:model/rollouts/price')
  @HttpCode(200)
  @Requires('rollouts:read')
  async price(@Param('model') name: string, @ValidBody(createRollout) body: z.infer<typeof createRollout>): Promise<PriceResource> {
    const { manager: tx } = this.database;
    const model = (await this.models.byName(tx, name)) ?? unwrap(modelUnknown(name));
    if (!(await this.versions.byLabel(tx, model.id, body.candidate))) unwrap(versionUnknown(model.name, body.candidate, 'candidate'));
    const plan = unwrap(planFor(model, body.plan));
    const now = await this.rollouts.now(tx);
    const windows = model.stableVersionId ? await this.windows.newestOf(tx, model.stableVersionId, now - sampleMs, mostWindows) : [];
    const { rates, knownS, errorShare, refusalShare } = trafficOf(windows, now);
    const priced = pricePlan({ ...plan, scores: fitScores(windows, plan.reference), rates, errorShare, refusalShare });
    return { ...priced, knownS, decides: priced.total !== null } as PriceResource;
  }
}

/** Requests per second by class since the oldest window, a minute at least, and the shares of what went wrong. */
function trafficOf(
  windows: readonly Window[],
  now: number,
): { rates: Record<string, number>; knownS: number; errorShare: number; refusalShare: number } {
  const oldest = windows.reduce((least, { key }) => Math.min(least, key.secondAt), now);
  const knownS = Math.max(60, (now - oldest) / 1000);
  const rates: Record<string, number> = {};
  const sums = { responses: 0, wrong: 0, refusals: 0 };
  for (const { key, counts } of windows) {
    rates[key.promptClass] = (rates[key.promptClass] ?? 0) + counts.responses / knownS;
    sums.responses += counts.responses;
    sums.wrong += counts.errors + counts.timeouts + counts.unfinished;
    sums.refusals += counts.refusals;
  }
  const share = (part: number): number => (sums.responses > 0 ? part / sums.responses : 0);
  return { rates, knownS, errorShare: share(sums.wrong), refusalShare: share(sums.refusals) };
}
