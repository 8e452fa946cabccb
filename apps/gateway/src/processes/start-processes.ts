// Several gateway processes that share one port: the kernel spreads connections over them, and no process of ours stands in between.
import type { Clock } from '#libs/base';
import { ConfigError, type Service } from '#libs/config';
import type { Log } from '#libs/telemetry';
import type { CountedUnits } from './counted-units.js';
import { findPort } from './port.js';
import { SupervisedChild } from './supervised-child.js';

export interface ProcessesOptions {
  readonly processes: number;
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * All of them listen when it resolves. Throws ConfigError when the port is taken or one cannot start; the others are stopped then. Later a
 * process that dies is followed by another. `close` drains all of them and throws when one did not end in order.
 */
export async function startProcesses({ processes, host, port, clock, log }: ProcessesOptions): Promise<Service> {
  const found = await findPort(host, port);
  if (!found.ok) throw new ConfigError(`${found.fault.message} ${found.fault.remedy ?? ''}`.trim());
  const children = Array.from({ length: processes }, (_, at): SupervisedChild => {
    const onCounted = (units: CountedUnits): void => {
      for (const [other, child] of children.entries()) if (other !== at) child.tell(units);
    };
    return new SupervisedChild({ place: at + 1, port: found.value, onCounted, clock, log });
  });
  const close = async (): Promise<void> => {
    const ends = await Promise.all(children.map(async (child) => await child.stop()));
    const bad = ends.flatMap((how, at) => (how === null ? [] : [`process ${at + 1} ended with ${how}`]));
    if (bad.length > 0) throw new Error(`not every process drained: ${bad.join(', ')}`);
  };
  const failures = await Promise.all(children.map(async (child) => await child.start()));
  const failed = failures.flatMap((how, at) => (how === null ? [] : [`process ${at + 1} of ${processes} did not start: ${how}`]));
  if (failed.length > 0) {
    await close().catch(() => undefined);
    throw new ConfigError(failed.join('\n'));
  }
  log.info({ host, port: found.value, processes, pids: children.map(({ pid }) => pid) }, 'gateway processes share a port');
  return { close };
}
