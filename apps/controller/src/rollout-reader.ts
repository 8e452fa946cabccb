// Reads rollouts as people see them: the row, who serves by it, and its newest decision in words.
import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { RolloutResource } from '#libs/contract';
import {
  Database,
  GatewayStore,
  RolloutEventStore,
  RolloutHistoryStore,
  type RolloutRecord,
  RolloutStore,
  RoutingStore,
} from '#libs/storage';
import { viewRollout } from './api/views.js';

@Injectable()
export class RolloutReader {
  private readonly rollouts = new RolloutStore();
  private readonly gateways = new GatewayStore();
  private readonly routing = new RoutingStore();
  private readonly events = new RolloutEventStore();
  private readonly history = new RolloutHistoryStore();

  constructor(@Inject(Database) private readonly database: Database) {}

  /** The resources of these rows, in order. One query a row for its newest event, four for all. */
  async view(records: readonly RolloutRecord[], tx: EntityManager = this.database.manager): Promise<RolloutResource[]> {
    const gateways = await this.gateways.list(tx);
    const table = await this.routing.read(tx);
    const now = await this.rollouts.now(tx);
    const earlier = await this.history.earlier(
      tx,
      records.map(({ id }) => id),
    );
    const resources: RolloutResource[] = [];
    for (const record of records) {
      const newest = await this.events.newest(tx, record.id);
      const before = earlier.get(record.id) ?? { rollouts: 0, exposed: 0, spentAlpha: 0 };
      resources.push(viewRollout(record, { gateways, incarnation: table?.incarnation ?? '', newest, earlier: before, now }));
    }
    return resources;
  }

  /** One rollout, null when there is none. */
  async find(id: string, tx: EntityManager = this.database.manager): Promise<RolloutResource | null> {
    const record = await this.rollouts.get(tx, id);
    return record ? ((await this.view([record], tx))[0] ?? null) : null;
  }
}
