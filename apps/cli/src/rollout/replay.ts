// `serin rollout replay`: would the same be decided today, or under another plan?
import { type ReplayResource, replayResource } from '#libs/contract';
import type { Client } from '../client.js';
import { type ExitCode, exitCodes } from '../exit-codes.js';
import type { Io } from '../io.js';
import { plain, table, timeOfDay } from '../text.js';
import { readPlan } from './plan-file.js';

export interface ReplayOptions {
  /** Path of a plan to decide by instead of the rollout's own. */
  readonly plan?: string;
  readonly json?: boolean;
}

/** Under its own plan a difference ends with 4: history does not hold. Under another plan differences are what was asked for. */
export async function replay(client: Client, io: Io, id: string, { plan, json }: ReplayOptions): Promise<ExitCode> {
  const path = `/rollouts/${encodeURIComponent(id)}/replay`;
  const answer = await client.post(path, plan === undefined ? {} : { plan: await readPlan(plan) }, replayResource);
  if (json) io.out(JSON.stringify(answer));
  else for (const line of replayLines(answer)) io.out(line);
  return answer.same || plan !== undefined ? exitCodes.ok : exitCodes.refused;
}

export function replayLines({ decisions, same, note }: ReplayResource): string[] {
  const say = ({ transition, toPhase, reason: { code } }: ReplayResource['decisions'][number]['recorded']): string =>
    plain(transition === 'hold' ? `hold (${String(code)})` : `${transition} to ${toPhase} (${String(code)})`);
  const differing = decisions.filter((one) => !one.same).length;
  return [
    ...table([
      ['#', 'TIME', 'DECIDED', 'REPLAYED', ''],
      ...decisions.map((one) => [
        one.seq === null ? '-' : String(one.seq),
        timeOfDay(one.at),
        say(one.recorded),
        one.same ? 'the same' : say(one.replayed),
        one.same ? '' : 'differs',
      ]),
    ]),
    same ? `All ${decisions.length} decisions are the same.` : `${differing} of ${decisions.length} decisions differ.`,
    plain(note),
  ];
}
