// `serin rollout list` and `serin rollout get`.
import { evidence, page, type RolloutResource, rolloutResource } from '#libs/contract';
import type { Client } from '../client.js';
import { type ExitCode, exitCodes } from '../exit-codes.js';
import type { Io } from '../io.js';
import { eventLine, plain, rolloutLines, rolloutTable } from '../text.js';
import { eventsAfter, follow, readRollout } from './follow.js';

export interface ListOptions {
  readonly model?: string;
  readonly phase?: string;
  readonly limit: number;
  readonly json?: boolean;
}

export async function list(client: Client, io: Io, { model, phase, limit, json }: ListOptions): Promise<ExitCode> {
  const query = new URLSearchParams({ limit: String(limit), ...(model ? { model } : {}), ...(phase ? { phase } : {}) });
  const { items } = await client.get(`/rollouts?${query}`, page(rolloutResource));
  if (json) io.out(JSON.stringify({ items }));
  else if (items.length === 0) io.out('No rollout. Start one: serin rollout start MODEL VERSION');
  else for (const line of rolloutTable(items, io.clock.now())) io.out(line);
  return exitCodes.ok;
}

export interface GetOptions {
  readonly watch?: boolean;
  readonly exitOnPause?: boolean;
  readonly timeout?: number;
  readonly json?: boolean;
}

export async function get(client: Client, io: Io, id: string, options: GetOptions): Promise<ExitCode> {
  if (options.watch) return await watch(client, io, id, options);
  const rollout = await readRollout(client, id);
  const events = await eventsAfter(client, id, 0);
  const looks = await client.get(`/rollouts/${encodeURIComponent(id)}/evidence?limit=1`, page(evidence));
  const newest = looks.items.at(-1) ?? null;
  if (options.json) io.out(JSON.stringify({ ...rollout, events, evidence: newest }));
  else for (const line of [...rolloutLines(rollout, newest), '', ...events.map(eventLine)]) io.out(line);
  return exitCodes.ok;
}

/** As JSON: one event a line, then the rollout as it ended. */
export async function watch(client: Client, io: Io, id: string, { exitOnPause, timeout, json }: GetOptions): Promise<ExitCode> {
  const { code, rollout } = await follow({
    client,
    io,
    id,
    onEvent: (event) => io.out(json ? JSON.stringify({ event }) : eventLine(event)),
    exitOnPause: exitOnPause ?? false,
    limitMs: timeout === undefined ? null : timeout * 1000,
  });
  io.out(json ? JSON.stringify({ rollout }) : ending(rollout));
  return code;
}

function ending({ gateways, sentence }: RolloutResource): string {
  const confirmed = gateways.live === 0 ? 'no gateway reports' : `${gateways.applied} of ${gateways.live} gateways serve by it`;
  return `${plain(sentence)} (${confirmed})`;
}
