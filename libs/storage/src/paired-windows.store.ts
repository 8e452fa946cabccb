// Windows of mirrored prompts: written by gateways in batches that may be repeated, read whole by the judgement of a shadow phase.
import type { EntityManager } from 'typeorm';
import { decodeRatios, encodeRatios, type PairedWindow } from '#libs/analysis';
import { rows, touched } from './rows.js';

interface PairedWindowRow {
  readonly secondAt: number;
  readonly rolloutId: string;
  readonly promptClass: string;
  readonly pairs: number;
  readonly forced: number;
  readonly failures: number;
  readonly loopsStable: number;
  readonly loopsCandidate: number;
  readonly ratios: Buffer;
}

export class PairedWindowStore {
  /** One flush of one gateway process. (bootId, seq) makes a repeat harmless. */
  async insert(tx: EntityManager, bootId: string, seq: number, windows: readonly PairedWindow[]): Promise<void> {
    if (windows.length === 0) return;
    const counts = windows.map((window) => window.counts);
    await tx.query(
      `insert into paired_windows (second_at, boot_id, seq, idx, rollout_id, prompt_class, pairs, forced, failures, loops_stable, loops_candidate, ratios)
       select to_timestamp(t.second_ms / 1000.0), $1::uuid, $2::bigint, t.ordinality, t.rollout_id, t.prompt_class, t.pairs, t.forced, t.failures,
         t.loops_stable, t.loops_candidate, t.ratios
       from unnest($3::float8[], $4::uuid[], $5::text[], $6::int[], $7::int[], $8::int[], $9::int[], $10::int[], $11::bytea[])
         with ordinality as t (second_ms, rollout_id, prompt_class, pairs, forced, failures, loops_stable, loops_candidate, ratios, ordinality)
       on conflict do nothing`,
      [
        bootId,
        seq,
        windows.map(({ secondAt }) => secondAt),
        windows.map(({ rolloutId }) => rolloutId),
        windows.map(({ promptClass }) => promptClass),
        counts.map((one) => one.pairs),
        counts.map((one) => one.forced),
        counts.map((one) => one.failures),
        counts.map((one) => one.loopsStable),
        counts.map((one) => one.loopsCandidate),
        counts.map((one) => Buffer.from(encodeRatios(one.ratios))),
      ],
    );
  }

  /** Everything that a rollout's mirrors have shown, in no order. */
  async ofRollout(tx: EntityManager, rolloutId: string): Promise<PairedWindow[]> {
    const found = await rows<PairedWindowRow>(
      tx,
      `select (extract(epoch from second_at) * 1000)::float8 as "secondAt", rollout_id as "rolloutId", prompt_class as "promptClass", pairs, forced,
         failures, loops_stable as "loopsStable", loops_candidate as "loopsCandidate", ratios
       from paired_windows where rollout_id = $1`,
      [rolloutId],
    );
    return found.map(({ rolloutId: id, promptClass, secondAt, ratios, ...counts }) => ({
      rolloutId: id,
      promptClass,
      secondAt: Math.round(secondAt),
      counts: { ...counts, ratios: decodeRatios(ratios) },
    }));
  }

  /** Forgets windows of before `beforeAt`, at most `batch` at once; returns how many. */
  async dropBefore(tx: EntityManager, beforeAt: number, batch = 1_000): Promise<number> {
    return await touched(
      tx,
      `delete from paired_windows where ctid = any(array(
         select ctid from paired_windows where second_at < to_timestamp($1 / 1000.0) limit $2)) returning seq`,
      [beforeAt, batch],
    );
  }
}
