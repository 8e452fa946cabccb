// Gateways as they report themselves: which generation they serve by, and how their engines are.
import type { EntityManager } from 'typeorm';
import { json, row, rows } from './rows.js';

export interface EngineReport {
  readonly state: 'idle' | 'loading' | 'ready' | 'restarting' | 'unreachable' | 'failed' | 'stopped';
  readonly reason: string | null;
  /** Seconds that it has been in this state. A duration, for the clocks of gateways differ. Absent in reports of before. */
  readonly forS?: number;
  readonly crashes: number;
  readonly pid: number | null;
}

export interface GatewayReport {
  readonly id: string;
  readonly bootId: string;
  readonly incarnation: string | null;
  readonly generation: number;
  /** By version id. */
  readonly engines: Readonly<Record<string, EngineReport>>;
  readonly droppedWindows: number;
  readonly address: string | null;
}

export interface GatewayRow extends GatewayReport {
  readonly seenAt: number;
  /** Heard of within the asked age, by the database's clock. */
  readonly live: boolean;
}

const columns = `id, boot_id as "bootId", incarnation, generation::float8 as generation, engines, dropped_windows::float8 as "droppedWindows", address,
  (extract(epoch from seen_at) * 1000)::float8 as "seenAt", (now() - seen_at < $1 * interval '1 millisecond') as live`;

/** A gateway that has not reported for this long does not hold up a decision. */
export const gatewayLiveMs = 5_000;

export class GatewayStore {
  /** One row per gateway id; the newest boot wins. */
  async report(tx: EntityManager, report: GatewayReport): Promise<void> {
    await tx.query(
      `insert into gateways (id, boot_id, incarnation, generation, engines, dropped_windows, address, seen_at)
       values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp())
       on conflict (id) do update set boot_id = excluded.boot_id, incarnation = excluded.incarnation, generation = excluded.generation,
         engines = excluded.engines, dropped_windows = excluded.dropped_windows, address = excluded.address, seen_at = excluded.seen_at`,
      [report.id, report.bootId, report.incarnation, report.generation, json(report.engines), report.droppedWindows, report.address],
    );
  }

  async list(tx: EntityManager, liveMs: number = gatewayLiveMs): Promise<GatewayRow[]> {
    return await rows(tx, `select ${columns} from gateways order by id`, [liveMs]);
  }

  /** How many gateways but this one were heard of lately. */
  async othersLive(tx: EntityManager, id: string, liveMs: number = gatewayLiveMs): Promise<number> {
    const sql = `select count(*)::int as others from gateways where id <> $1 and clock_timestamp() - seen_at < $2 * interval '1 millisecond'`;
    return (await row<{ others: number }>(tx, sql, [id, liveMs]))?.others ?? 0;
  }

  /** Says goodbye at an orderly stop, so that decisions do not wait for a gateway that is gone. */
  async remove(tx: EntityManager, id: string, bootId: string): Promise<void> {
    await row(tx, 'delete from gateways where id = $1 and boot_id = $2 returning id', [id, bootId]);
  }
}
