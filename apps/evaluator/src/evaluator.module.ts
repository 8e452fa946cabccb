// The evaluator's parts and how they are given to one another. Ports and settings come from outside, so tests choose them.
import { type DynamicModule, Module } from '@nestjs/common';
import type { Clock, Ids } from '#libs/base';
import { Database } from '#libs/storage';
import type { Log } from '#libs/telemetry';
import { CLOCK, EvaluatorSettings, IDS, LOG } from './core.js';
import { Evaluator } from './evaluator.js';
import { HealthApi } from './health.api.js';
import { Heartbeats } from './heartbeat/heartbeats.js';
import { WorkQueue } from './work-queue.js';

/** What the module cannot make itself. */
export interface EvaluatorParts {
  readonly database: Database;
  readonly settings: EvaluatorSettings;
  readonly log: Log;
  readonly clock: Clock;
  readonly ids: Ids;
}

@Module({})
export class EvaluatorModule {
  static with({ database, settings, log, clock, ids }: EvaluatorParts): DynamicModule {
    return {
      module: EvaluatorModule,
      controllers: [HealthApi],
      providers: [
        { provide: Database, useValue: database },
        { provide: EvaluatorSettings, useValue: settings },
        { provide: LOG, useValue: log },
        { provide: CLOCK, useValue: clock },
        { provide: IDS, useValue: ids },
        Evaluator,
        WorkQueue,
        Heartbeats,
      ],
    };
  }
}
