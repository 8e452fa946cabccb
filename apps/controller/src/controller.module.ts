// The controller's parts and how they are given to one another. Ports and settings come from outside, so tests choose them.
import { type DynamicModule, Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import type { Clock, Ids, Rng } from '#libs/base';
import { Database, SecretBox, WebhookEndpointStore } from '#libs/storage';
import type { Log } from '#libs/telemetry';
import { ApiKeysApi } from './api/api-keys.api.js';
import { CommandsApi } from './api/commands.api.js';
import { DeliveriesApi } from './api/deliveries.api.js';
import { EvaluationsApi } from './api/evaluations.api.js';
import { GatesApi } from './api/gates.api.js';
import { GatewaysApi } from './api/gateways.api.js';
import { HealthApi } from './api/health.api.js';
import { HookSourcesApi } from './api/hook-sources.api.js';
import { ModelsApi } from './api/models.api.js';
import { PriceApi } from './api/price.api.js';
import { ReplayApi } from './api/replay.api.js';
import { RolloutsApi } from './api/rollouts.api.js';
import { SessionApi } from './api/session.api.js';
import { StreamApi } from './api/stream.api.js';
import { TestSetsApi } from './api/test-sets.api.js';
import { WatchApi } from './api/watch.api.js';
import { WebhookEndpointsApi } from './api/webhook-endpoints.api.js';
import { AuthGuard } from './auth/auth.guard.js';
import { CLOCK, ControllerSettings, IDS, LOG, RNG } from './core.js';
import { CRASH, type Crash, noCrash } from './crash.js';
import { EvaluationDesk } from './evaluation-desk.js';
import { FailoverWatch } from './failover-watch.js';
import { HookDesk } from './hooks/hook-desk.js';
import { HooksApi } from './hooks/hooks.api.js';
import { Housekeeper } from './housekeeper.js';
import { Idempotency } from './http/idempotency.js';
import { KeyDesk } from './key-desk.js';
import { LookRound } from './look-round.js';
import { Courier } from './outbox/courier.js';
import { OutboxWorker } from './outbox/outbox-worker.js';
import { Reconciler } from './reconciler.js';
import { Registry } from './registry.js';
import { RolloutDesk } from './rollout-desk.js';
import { RolloutMemory } from './rollout-memory.js';
import { RolloutReader } from './rollout-reader.js';
import { RolloutReplay } from './rollout-replay.js';
import { controlStores, ENDPOINTS, STORES } from './stores.js';
import { StreamHub } from './stream-hub.js';
import { Ticker } from './ticker.js';
import { Watcher } from './watch/watcher.js';

/** What the module cannot make itself. */
export interface ControllerParts {
  readonly database: Database;
  readonly settings: ControllerSettings;
  readonly log: Log;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly rng: Rng;
  /** Default: none. */
  readonly crash?: Crash | undefined;
}

const services = [
  Registry,
  RolloutDesk,
  EvaluationDesk,
  KeyDesk,
  RolloutMemory,
  LookRound,
  Reconciler,
  Ticker,
  Housekeeper,
  FailoverWatch,
  RolloutReader,
  RolloutReplay,
  StreamHub,
  Idempotency,
  HookDesk,
  Courier,
  OutboxWorker,
  Watcher,
];

@Global()
@Module({})
export class ControllerModule {
  static with({ database, settings, log, clock, ids, rng, crash = noCrash }: ControllerParts): DynamicModule {
    return {
      module: ControllerModule,
      controllers: [
        ModelsApi,
        RolloutsApi,
        PriceApi,
        ReplayApi,
        CommandsApi,
        GatewaysApi,
        GatesApi,
        StreamApi,
        SessionApi,
        HealthApi,
        HooksApi,
        HookSourcesApi,
        WebhookEndpointsApi,
        DeliveriesApi,
        TestSetsApi,
        EvaluationsApi,
        ApiKeysApi,
        WatchApi,
      ],
      providers: [
        { provide: Database, useValue: database },
        { provide: ControllerSettings, useValue: settings },
        { provide: STORES, useValue: controlStores() },
        { provide: ENDPOINTS, useValue: new WebhookEndpointStore(new SecretBox(settings.values.secretKey)) },
        { provide: LOG, useValue: log },
        { provide: CLOCK, useValue: clock },
        { provide: IDS, useValue: ids },
        { provide: RNG, useValue: rng },
        { provide: CRASH, useValue: crash },
        { provide: APP_GUARD, useClass: AuthGuard },
        ...services,
      ],
      exports: [Database, ControllerSettings, STORES, ENDPOINTS, LOG, CLOCK, IDS, RNG, CRASH, ...services],
    };
  }
}
