// `serin rollout price`: what a plan would cost, before it starts.
import { type PriceResource, priceResource } from '#libs/contract';
import type { Client } from '../client.js';
import { type ExitCode, exitCodes } from '../exit-codes.js';
import type { Io } from '../io.js';
import { percent, plain, table } from '../text.js';
import { readPlan } from './plan-file.js';

export interface PriceOptions {
  readonly plan?: string;
  readonly json?: boolean;
}

/** Ends with 4 when the plan is not expected to decide under today's traffic. */
export async function price(client: Client, io: Io, model: string, version: string, { plan, json }: PriceOptions): Promise<ExitCode> {
  const body = { candidate: version, ...(plan === undefined ? {} : { plan: await readPlan(plan) }) };
  const answer = await client.post(`/models/${encodeURIComponent(model)}/rollouts/price`, body, priceResource);
  if (json) io.out(JSON.stringify(answer));
  else for (const line of priceLines(answer)) io.out(line);
  return answer.decides ? exitCodes.ok : exitCodes.refused;
}

export function priceLines({ perS, total, steps, checks, problems }: PriceResource): string[] {
  const effect = (value: number | null, unit: string): string =>
    value === null ? '-' : `${(100 * value).toFixed(1)}${unit === 'ratio' ? '%' : 'pt'}`;
  return [
    `${perS.toFixed(2)} requests per second`,
    total
      ? `A healthy candidate takes about ${duration(total.seconds)} and ${Math.round(total.candidateResponses)} responses.`
      : 'This plan is not expected to decide.',
    '',
    ...table([
      ['STEP', 'EXPECTED', 'RESPONSES BY THE DEADLINE'],
      ...steps.map((step) => [
        percent(step.weightPct),
        step.expectedS === null ? 'not in time' : duration(step.expectedS),
        String(Math.round(step.untilDeadline)),
      ]),
    ]),
    '',
    ...table([
      ['CHECK', ...steps.map((step) => `SEES AT ${percent(step.weightPct)}`)],
      ...checks.map((one) => [plain(one.check), ...one.detectable.map((value) => effect(value, one.unit))]),
    ]),
    ...problems.flatMap(({ message, remedy }) => ['', plain(message), `  ${plain(remedy)}`]),
  ];
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.ceil(seconds)} s`;
  return seconds < 7_200 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3_600).toFixed(1)} h`;
}
