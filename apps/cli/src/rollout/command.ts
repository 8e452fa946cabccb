// `serin rollout start` and the five commands to a rollout that lives.
import { z } from 'zod';
import { type createRollout, rolloutResource } from '#libs/contract';
import type { Client } from '../client.js';
import { CliError, type ExitCode, exitCodes } from '../exit-codes.js';
import type { Io } from '../io.js';
import { plain } from '../text.js';
import { follow } from './follow.js';
import { readPlan } from './plan-file.js';
import { watch } from './show.js';

export const commandKinds = ['pause', 'resume', 'promote', 'rollback', 'abort'] as const;
export type CommandKind = (typeof commandKinds)[number];

const started = z.union([rolloutResource, z.object({ firstStable: z.object({ id: z.string(), label: z.string() }) })]);

export interface StartOptions {
  /** Path of a YAML or JSON file. */
  readonly plan?: string;
  readonly watch?: boolean;
  readonly json?: boolean;
}

export async function start(client: Client, io: Io, model: string, version: string, options: StartOptions): Promise<ExitCode> {
  const plan = options.plan === undefined ? undefined : await readPlan(options.plan);
  const body: z.input<typeof createRollout> = { candidate: version, ...(plan ? { plan } : {}) };
  const answer = await client.post(`/models/${encodeURIComponent(model)}/rollouts`, body, started);
  if ('firstStable' in answer) {
    io.out(
      options.json
        ? JSON.stringify(answer)
        : `${plain(answer.firstStable.label)} is the first version of ${plain(model)} and serves at once; there is nothing to roll out.`,
    );
    return exitCodes.ok;
  }
  if (!options.watch || !options.json) io.out(options.json ? JSON.stringify(answer) : `Rollout ${answer.id}: ${plain(answer.sentence)}`);
  return options.watch ? await watch(client, io, answer.id, { json: options.json ?? false }) : exitCodes.ok;
}

export interface CommandOptions {
  readonly reason: string;
  /** Seconds to wait for a rollback to reach the gateways; 0 does not wait. */
  readonly wait?: number;
  readonly json?: boolean;
}

/** A rollback is done when every live gateway serves by it: the row alone moves no traffic. */
export async function command(
  client: Client,
  io: Io,
  kind: CommandKind,
  id: string,
  { reason, wait = 0, json }: CommandOptions,
): Promise<ExitCode> {
  let rollout = await client.post(`/rollouts/${encodeURIComponent(id)}/${kind}`, { reason }, rolloutResource);
  if (wait > 0 && (rollout.phase !== 'rolledBack' || rollout.gateways.missing.length > 0)) {
    const end = await follow({ client, io, id, onEvent: () => undefined, limitMs: wait * 1000 });
    rollout = end.rollout;
  }
  io.out(json ? JSON.stringify(rollout) : plain(rollout.sentence));
  if (!json && !rollout.settled) io.err(`Not everywhere yet: ${plain(rollout.delivery)}.`);
  if (wait > 0 && rollout.phase !== 'rolledBack') {
    throw new CliError(exitCodes.refused, `The rollout ended as ${rollout.phase} before it could be rolled back.`);
  }
  return exitCodes.ok;
}
