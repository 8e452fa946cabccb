// Webhooks that were carried out, by the sender's id: a repeat finds the first outcome and does nothing.
import type { EntityManager } from 'typeorm';
import { json, row, touched } from './rows.js';

export interface HookReceipt {
  readonly body: Buffer;
  readonly outcome: unknown;
}

export class HookReceiptStore {
  /**
   * Claims an id in the caller's transaction. Null: it is ours, carry it out and `settle`. Else the earlier receipt. Waits for another
   * transaction that holds the same id; when that one is rolled back, the id is ours.
   */
  async claim(tx: EntityManager, receipt: { source: string; deliveryId: string; body: Uint8Array }): Promise<HookReceipt | null> {
    const mine = await row(
      tx,
      'insert into hook_receipts (source, delivery_id, body) values ($1, $2, $3) on conflict do nothing returning delivery_id',
      [receipt.source, receipt.deliveryId, Buffer.from(receipt.body)],
    );
    if (mine) return null;
    const earlier = await row<HookReceipt>(tx, 'select body, outcome from hook_receipts where source = $1 and delivery_id = $2', [
      receipt.source,
      receipt.deliveryId,
    ]);
    if (!earlier) throw new Error('a receipt vanished between two statements');
    return earlier;
  }

  /** Records what was done, in the same transaction. */
  async settle(tx: EntityManager, source: string, deliveryId: string, outcome: unknown): Promise<void> {
    await tx.query('update hook_receipts set outcome = $3 where source = $1 and delivery_id = $2', [source, deliveryId, json(outcome)]);
  }

  /** Forgets receipts older than `olderThanMs`, at most 1,000 a call; returns how many. A sender must have given up by then. */
  async prune(tx: EntityManager, olderThanMs: number): Promise<number> {
    return await touched(
      tx,
      `delete from hook_receipts where ctid = any(array(
         select ctid from hook_receipts where received_at < now() - $1 * interval '1 millisecond' limit 1000)) returning 1`,
      [olderThanMs],
    );
  }
}
