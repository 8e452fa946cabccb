// Follows one rollout: tells each decision as it is made, waits through a restart of the controller, ends when the rollout has ended and traffic has moved.
import { z } from 'zod';
import { page, type RolloutEventResource, type RolloutResource, rolloutEvent, rolloutResource } from '#libs/contract';
import { type Client, Unreachable } from '../client.js';
import { CliError, type ExitCode, exitCodes } from '../exit-codes.js';
import type { Io } from '../io.js';

const lookMs = 1_000;
/** How long a silent controller is waited for. */
const patienceMs = 120_000;

const verdictOf: Partial<Record<RolloutResource['phase'], ExitCode>> = {
  promoted: exitCodes.ok,
  rolledBack: exitCodes.rolledBack,
  aborted: exitCodes.aborted,
};

export interface Follow {
  readonly client: Client;
  readonly io: Io;
  readonly id: string;
  /** Told in order, each once, from the first. */
  readonly onEvent: (event: RolloutEventResource) => void;
  readonly exitOnPause?: boolean;
  /** Null waits for ever. */
  readonly limitMs: number | null;
}

/** The exit code that carries the rollout's end, and its last state. Throws CliError on time-out (13) and when the controller stays silent (5). */
export async function follow({
  client,
  io,
  id,
  onEvent,
  exitOnPause = false,
  limitMs,
}: Follow): Promise<{ code: ExitCode; rollout: RolloutResource }> {
  const startedAt = io.clock.monotonicMs();
  let silentSince: number | null = null;
  let told = 0;
  let toldMoving = false;
  for (;;) {
    io.signal.throwIfAborted();
    try {
      // The rollout before its events: an end is never seen without the event that tells it.
      const rollout = await readRollout(client, id);
      for (const event of await eventsAfter(client, id, told)) {
        told = event.seq;
        onEvent(event);
      }
      if (silentSince !== null) io.err('The controller answers again.');
      silentSince = null;
      const code = verdictOf[rollout.phase];
      if (code !== undefined && rollout.gateways.missing.length === 0) return { code, rollout };
      if (code !== undefined && !toldMoving) {
        toldMoving = true;
        io.err(`Waiting for gateways to confirm: ${rollout.gateways.missing.join(', ')}.`);
      }
      if (exitOnPause && rollout.phase === 'paused') return { code: exitCodes.paused, rollout };
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      const now = io.clock.monotonicMs();
      if (silentSince === null) io.err(`${error.message} Waiting for it.`);
      silentSince ??= now;
      if (now - silentSince > patienceMs) throw error;
    }
    if (limitMs !== null && io.clock.monotonicMs() - startedAt > limitMs) {
      throw new CliError(
        exitCodes.notInTime,
        `The rollout has not come to its end within ${limitMs / 1000} s.`,
        `Look again: serin rollout get ${id}`,
      );
    }
    await io.clock.sleep(lookMs, io.signal);
  }
}

export async function readRollout(client: Client, id: string): Promise<RolloutResource> {
  return await client.get(`/rollouts/${encodeURIComponent(id)}`, rolloutResource);
}

/** All events after a sequence number, in order. */
export async function eventsAfter(client: Client, id: string, after: number): Promise<RolloutEventResource[]> {
  const events: z.infer<typeof rolloutEvent>[] = [];
  let cursor: string | null = String(after);
  while (cursor !== null) {
    const answer: z.infer<ReturnType<typeof page<typeof rolloutEvent>>> = await client.get(
      `/rollouts/${encodeURIComponent(id)}/events?limit=500&cursor=${cursor}`,
      page(rolloutEvent),
    );
    events.push(...answer.items);
    cursor = answer.nextCursor;
  }
  return events;
}
